"""Addresses and names that come from outside and are not what they should be."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import Client
from daxa.fetch.unpack import safe_member_path


@pytest.fixture
def redirects():
    """A server that sends everybody to a file of their own, and how often it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x", asked
    server.shutdown()
    server.server_close()


def test_a_redirect_to_no_web_address_is_asked_for_once(redirects):
    address, asked = redirects
    with pytest.raises(DAXADownloadError, match="leads to no web address .*file:"):
        Client().get_text(address)
    assert asked == ["/x"]


@pytest.mark.parametrize("name", ["MANIFEST\n\x1b[31m", "a\tb", "a\0b", "\x7f"])
def test_members_with_control_characters_are_refused(name):
    with pytest.raises(DAXADownloadError, match="control characters") as refused:
        safe_member_path(name, "x.tar")
    assert str(refused.value).isprintable()


def test_members_with_letters_of_any_kind_are_taken():
    assert str(safe_member_path("données/α 1.FIT", "x.tar")) == "données/α 1.FIT"

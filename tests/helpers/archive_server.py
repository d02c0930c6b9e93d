"""A server on this machine that speaks as the archives do, and can be told to misbehave.

TAP (synchronous queries, VOTable), the XSA's archive service, HEASARC's directory pages, S3 listings
and Sesame.
"""

from __future__ import annotations

import gzip
import hashlib
import html
import io
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import numpy as np


class ArchiveServer:
    """Holds what the archives have.

    ``files`` maps paths below the FTP root (and keys of the bucket) to contents, ``aio`` (ObsID, level) to
    what the XSA sends, ``tables`` table names to columns. ``faults`` maps a part of a request's path
    to faults used up one per request: a function of the handler and the body that answers instead.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.aio: dict[tuple[str, str], bytes] = {}
        self.tables: dict[str, dict[str, list]] = {}
        self.names: dict[str, tuple[float, float]] = {}
        self.faults: dict[str, list[Callable]] = defaultdict(list)
        self.row_limit = 10**9
        self.flag_overflow = True
        self.page_size = 1000
        self.ranges = True
        self.etags = True
        self.queries: list[str] = []
        self.requests: Counter[str] = Counter()
        self.bytes_sent: Counter[str] = Counter()
        self.headers_seen: list[dict[str, str]] = []
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self, parse_qs(urlsplit(self.path).query))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                server._answer(self, parse_qs(body))

            def log_message(self, *args: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that hang up are part of the tests

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    # -- answers ----------------------------------------------------------------------------

    def _answer(self, handler: BaseHTTPRequestHandler, params: dict[str, list[str]]) -> None:
        path = unquote(urlsplit(handler.path).path)
        key = path + "".join(
            f" {k}={v[0]}" for k, v in sorted(params.items()) if k in ("obsno", "level", "prefix")
        )
        with self._lock:
            self.requests[key] += 1
            self.headers_seen.append(dict(handler.headers))
            fault = next((f.pop(0) for part, f in self.faults.items() if part in key and f), None)
        status, kind, body, extra = self._content(path, params, urlsplit(handler.path).query)
        if fault is not None:
            fault(handler, body)
            return
        sliced = handler.headers.get("Range")
        if status == 200 and sliced and self.ranges and "ETag" in extra:
            start = int(re.match(r"bytes=(\d+)-", sliced)[1])
            if handler.headers.get("If-Range", extra["ETag"]) == extra["ETag"]:
                if start >= len(body):
                    status, body, extra["Content-Range"] = 416, b"", f"bytes */{len(body)}"
                else:
                    extra["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                    status, body = 206, body[start:]
        self.send(handler, status, body, kind, extra)
        with self._lock:
            self.bytes_sent[key] += len(body)

    @staticmethod
    def send(
        handler: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        kind: str = "application/octet-stream",
        extra: dict[str, str] | None = None,
        length: int | None = None,
    ) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (extra or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.wfile.flush()

    def _content(
        self, path: str, params: dict[str, list[str]], query: str
    ) -> tuple[int, str, bytes, dict[str, str]]:
        if path.endswith("/sync"):
            return 200, "application/x-votable+xml", self._tap(params["QUERY"][0]), {}
        if path == "/aio":
            content = self.aio.get((params["obsno"][0], params["level"][0]))
            if content is None:
                return 404, "text/html", b"<html>no such observation</html>", {}
            name = f"{params['obsno'][0]}.tar.gz"
            return (
                200,
                "application/octet-stream",
                content,
                {"Content-Disposition": f'attachment; filename="{name}"'},
            )
        if path == "/s3/":
            return 200, "application/xml", self._bucket(params), {}
        if path.startswith("/sesame"):
            return 200, "text/plain", self._sesame(query), {}
        key = path.removeprefix("/FTP/").removeprefix("/s3/")
        if key in self.files:
            extra = {"Accept-Ranges": "bytes", "ETag": f'"{hash(self.files[key])}"'} if self.etags else {}
            kind = "text/html" if key.endswith((".html", ".HTM")) else "application/octet-stream"
            return 200, kind, self.files[key], extra
        if path.endswith("/") and any(f.startswith(key) for f in self.files):
            return 200, "text/html;charset=UTF-8", self._directory(key), {}
        return 404, "text/html", b"<html><title>404 Not Found</title></html>", {}

    def _directory(self, key: str) -> bytes:
        names = sorted(
            {
                f[len(key) :].partition("/")[0] + "/" * ("/" in f[len(key) :])
                for f in self.files
                if f.startswith(key)
            }
        )
        rows = "".join(
            f'<tr><td><a href="{quote(n)}">{html.escape(n)}</a></td><td align="right">1.2M</td></tr>\n'
            for n in names
        )
        return (
            f"<!DOCTYPE HTML><html><head><title>Index of /FTP/{key}</title></head><body>"
            f"<h1>Index of /FTP/{key}</h1>"
            '<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=S;O=A">Size</a></th></tr>'
            f'<tr><td><a href="/FTP/">Parent Directory</a></td></tr>\n{rows}</table></body></html>'
        ).encode()

    def _bucket(self, params: dict[str, list[str]]) -> bytes:
        prefix = params["prefix"][0]
        keys = sorted(k for k in self.files if k.startswith(prefix))
        first = int(params.get("continuation-token", ["0"])[0])
        page, rest = keys[first : first + self.page_size], keys[first + self.page_size :]
        items = "".join(
            f"<Contents><Key>{escape(k)}</Key><Size>{len(self.files[k])}</Size>"
            f"<ETag>&quot;{hashlib.md5(self.files[k]).hexdigest()}&quot;</ETag></Contents>"
            for k in page
        )
        token = f"<NextContinuationToken>{first + self.page_size}</NextContinuationToken>" if rest else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{'true' if rest else 'false'}</IsTruncated>{token}{items}</ListBucketResult>"
        ).encode()

    def _sesame(self, query: str) -> bytes:
        # the object is the bare query, as Sesame wants it
        name = unquote(query.replace("+", " "))
        if name not in self.names:
            return f"# {name}\n#!S: Nothing found\n".encode()
        ra, dec = self.names[name]
        return f"# {name}\n#=S=Simbad: 1\n%J {ra:.6f} {dec:+.6f} = 09:58:22.0 -11:03:51\n".encode()

    def _tap(self, query: str) -> bytes:
        self.queries.append(query)
        match = re.match(
            r"SELECT (?:TOP (\d+) )?(.*?) FROM ([\w.]+)\s*(.*)$", query, re.IGNORECASE | re.DOTALL
        )
        top, listing, table, rest = match.groups()
        if table.upper() == "TAP_SCHEMA.COLUMNS":
            found = [(t, n) for t, c in self.tables.items() if f"'{t}'" in rest for n in c]
            columns = {"table_name": [t for t, _ in found], "column_name": [n for _, n in found]}
            return self.votable({n: columns[n] for n in listing.lower().split(", ")}, False)
        if table not in self.tables:
            return self.error(f"table {table} not found")
        columns = self.tables[table]
        n_rows = len(next(iter(columns.values())))
        if listing.upper().startswith("COUNT"):
            return self.votable({"number": [n_rows]}, False)
        rows = np.arange(n_rows)
        if where := re.search(r"WHERE (\w+) > '?([^'\s]+)'?", rest):
            rows = rows[np.array([str(v) > where[2] for v in columns[where[1]]])]
        if order := re.search(r"ORDER BY (\w+)", rest):
            rows = rows[np.argsort(np.array([str(v) for v in columns[order[1]]])[rows], kind="stable")]
        limit = min(self.row_limit, int(top or 10**9))
        chosen = {}
        for item in listing.split(","):
            theirs, _, ours = item.strip().partition(" AS ")
            if theirs not in columns:
                return self.error(f"column {theirs} not found")
            chosen[ours or theirs] = [columns[theirs][r] for r in rows[:limit]]
        return self.votable(chosen, self.flag_overflow and len(rows) > limit)

    @staticmethod
    def error(message: str) -> bytes:
        return (
            '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
            f'<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">{message}</INFO>'
            "</RESOURCE></VOTABLE>"
        ).encode()

    @staticmethod
    def votable(columns: dict[str, list], overflow: bool) -> bytes:
        fields, cells = [], []
        for name, values in columns.items():
            kind = next((type(v) for v in values if v is not None), str)
            datatype = {float: 'datatype="double"', int: 'datatype="int"', bool: 'datatype="boolean"'}.get(
                kind, 'datatype="char" arraysize="*"'
            )
            fields.append(f'<FIELD name="{name}" {datatype}/>')
            cells.append(["" if v is None else escape(str(v)) for v in values])
        rows = "".join(
            "<TR>" + "".join(f"<TD>{c}</TD>" for c in row) + "</TR>" for row in zip(*cells, strict=True)
        )
        tail = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>' if overflow else ""
        return (
            '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
            '<RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/><TABLE>'
            f"{''.join(fields)}<DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE>{tail}</RESOURCE></VOTABLE>"
        ).encode()


# -- faults -------------------------------------------------------------------------------------


def status(code: int, **headers: str) -> Callable:
    """Answer with an error code."""

    def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        ArchiveServer.send(handler, code, b"busy", "text/plain", extra)

    return fault


def cut(at: float, etag: bool = True) -> Callable:
    """Hang up after a fraction of the body."""

    def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        extra = {"Accept-Ranges": "bytes", "ETag": f'"{hash(body)}"'} if etag else {}
        ArchiveServer.send(handler, 200, body[: int(at * len(body))], extra=extra, length=len(body))
        handler.close_connection = True

    return fault


def cut_again(at: float) -> Callable:
    """Hang up in the middle of the piece that was asked for."""

    def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        start = int(re.match(r"bytes=(\d+)-", handler.headers["Range"])[1])
        piece = body[start:]
        extra = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}", "ETag": f'"{hash(body)}"'}
        ArchiveServer.send(handler, 206, piece[: int(at * len(piece))], extra=extra, length=len(piece))
        handler.close_connection = True

    return fault


def wrong_length(by: int) -> Callable:
    """Announce another length than what is sent."""

    def fault(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        ArchiveServer.send(handler, 200, body, length=len(body) + by)
        handler.close_connection = True

    return fault


def page(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """A web page that says sorry, with status 200."""
    text = b"<html><head><title>Archive under maintenance</title></head><body>Sorry</body></html>"
    ArchiveServer.send(handler, 200, text, "text/html")


def corrupt(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """The right length, a wrong byte in the middle."""
    middle = len(body) // 2
    ArchiveServer.send(handler, 200, body[:middle] + bytes([body[middle] ^ 255]) + body[middle + 1 :])


def gzipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        file.write(content)
    return buffer.getvalue()

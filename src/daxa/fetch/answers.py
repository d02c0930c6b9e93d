"""What answers of servers say: faults that may pass and those that stay, lengths, pages instead of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import requests
import urllib3

from daxa.exceptions import DAXADownloadError
from daxa.fetch.limits import Limits
from daxa.plain import foreign, plain_line

#: Asking again for an address of this kind helps nothing.
NO_ADDRESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
    UnicodeError,
)
NETWORK = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError, TimeoutError)
#: Statuses that send to another address.
REDIRECTS = (301, 302, 303, 307, 308)
_SECRET = re.compile(r"((?:AIOUSER|AIOPWD|password)=)[^&\s]+", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)$")
_PAGE = re.compile(rb"\s*(<!doctype html|<html|<\?xml)", re.IGNORECASE)


class NotThere(DAXADownloadError):
    """The server says that there is no such file."""


class TryAgain(Exception):
    """A fault that may pass.

    Parameters
    ----------
    reason
        What happened.
    pause_s
        How long the server asks to wait [s].
    """

    def __init__(self, reason: str, pause_s: float = 0.0):
        super().__init__(reason)
        self.pause_s = pause_s
        self.progress = False


def hide_secrets(text: object) -> str:
    """A text without passwords, and without what a terminal would obey, for messages.

    Parameters
    ----------
    text
        The text; anything else is turned into one.
    """
    return plain_line(_SECRET.sub(r"\1***", str(text)))


def check_status(answer: requests.Response, limits: Limits) -> None:
    """Let pass what is no error.

    Parameters
    ----------
    answer
        The answer, of which the body may still come.
    limits
        How long a server may ask to wait.

    Raises
    ------
    NotThere, DAXADownloadError
        It will not help to ask again.
    TryAgain
        It may help.
    """
    status = answer.status_code
    if status < 400:
        return
    if status in (404, 410):
        raise NotThere(hide_secrets(f"{answer.url}: not found on the server (HTTP {status})"))
    if status in (401, 403):
        raise DAXADownloadError(
            hide_secrets(f"{answer.url}: access refused (HTTP {status}); the data may be proprietary")
        )
    said = f"HTTP {status} {foreign(answer.reason, 60)}"
    if status in (408, 425, 429) or status >= 500:
        wait = retry_after(answer.headers)
        if wait > limits.retry_after_s:
            raise DAXADownloadError(
                hide_secrets(f"{answer.url}: {said}; the server asks to come back after {wait:,.0f} s")
            )
        raise TryAgain(said, wait)
    raise DAXADownloadError(hide_secrets(f"{answer.url}: {said}"))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float:
    """How long a server asks to wait, in seconds; 0 if it does not say.

    Parameters
    ----------
    headers
        Of its answer; a number of seconds, or a date.
    now
        The present, if another.

    Examples
    --------
    >>> retry_after({"Retry-After": "90"})
    90.0
    """
    text = headers.get("Retry-After", "").strip()
    if _LENGTH.fullmatch(text):
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
        return max(0.0, (date - (now or datetime.now(timezone.utc))).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0.0


def length_of(headers: Mapping[str, str]) -> int | None:
    """The length of the body that headers announce; None if they do not, or talk nonsense.

    Parameters
    ----------
    headers
        Of the answer.

    Examples
    --------
    >>> length_of({"Content-Length": "12"}), length_of({"Content-Length": "-5"})
    (12, None)
    """
    text = headers.get("Content-Length", "").strip()
    return int(text) if _LENGTH.fullmatch(text) else None


def piece_of(headers: Mapping[str, str]) -> tuple[int, int | None] | None:
    """Where a piece of a file begins, and the length of the whole if it is known; None if headers do not say.

    Parameters
    ----------
    headers
        Of the answer.

    Examples
    --------
    >>> piece_of({"Content-Range": "bytes 5-9/10"})
    (5, 10)
    """
    match = _RANGE.match(headers.get("Content-Range", ""))
    return None if match is None else (int(match[1]), None if match[2] == "*" else int(match[2]))


def is_page(answer: requests.Response) -> bool:
    """Whether an answer says that it is a web page.

    Parameters
    ----------
    answer
        The answer.
    """
    return answer.headers.get("Content-Type", "").split(";")[0].strip().lower() in (
        "text/html",
        "application/xhtml+xml",
    )


def looks_like_page(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a web page, or of an answer in XML.

    Parameters
    ----------
    start
        The bytes.

    Examples
    --------
    >>> looks_like_page(b"<!DOCTYPE html><html>"), looks_like_page(b"SIMPLE  =")
    (True, False)
    """
    return _PAGE.match(start) is not None


def title_of(start: bytes) -> str:
    """The title of a page in brackets, with a blank before; empty if it has none.

    Parameters
    ----------
    start
        Its first bytes.
    """
    text = start.decode("utf-8", errors="replace")
    match = re.search(r"<(title|h1)\b[^>]*>([^<]*)", text, re.IGNORECASE)
    words = foreign(match[2], 120) if match else ""
    return f" ({words})" if words else ""


def innermost(err: BaseException) -> str:
    """The innermost cause of a network error, in one line.

    Parameters
    ----------
    err
        The error.
    """
    seen = {id(err)}
    while (inner := err.__cause__ or err.__context__) and id(inner) not in seen:
        err = inner
        seen.add(id(err))
    text = foreign(err, 200) or type(err).__name__
    return f"{type(err).__name__}: {text}"

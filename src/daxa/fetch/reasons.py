"""Why a server was not reached, in few words: what libraries say of it is long and nested."""

from __future__ import annotations

import re

from daxa.plain import foreign

#: What is found in the texts of libraries -> what it means.
_MEANINGS = {
    r"ProxyError": "the proxy does not answer",
    r"NameResolution|Failed to resolve|getaddrinfo|Name or service not known": "its name is not resolved",
    r"[Cc]onnection ?[Rr]efused": "it refuses the connection",
    r"timed out|Timeout": "it does not answer in time",
    r"certificate|SSLError": "its certificate is not accepted",
    r"unreachable|No route": "there is no way to it",
    r"reset by peer|RemoteDisconnected|Connection aborted": "it ended the connection",
}


def reason(failure: BaseException) -> str:
    """Why something was not fetched.

    Parameters
    ----------
    failure
        What a library raised.

    Examples
    --------
    >>> reason(OSError("Max retries exceeded (Caused by NameResolutionError('x', 'Failed to resolve'))"))
    'its name is not resolved'
    >>> reason(ValueError("no such table"))
    'no such table'
    """
    text = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, OSError):  # those of requests are
        for pattern, meaning in _MEANINGS.items():
            if re.search(pattern, text):
                return meaning
    return foreign(failure) or type(failure).__name__


def unreached(text: str) -> list[str]:
    """Servers that a message says were not reached.

    Parameters
    ----------
    text
        The message of an error.

    Returns
    -------
    list
        Their names; none if the message is of something else.

    Examples
    --------
    >>> unreached("example.org: the table t cannot be read (its name is not resolved)")
    ['example.org']
    """
    if not any(meaning in text or re.search(pattern, text) for pattern, meaning in _MEANINGS.items()):
        return []
    return list(dict.fromkeys(re.findall(r"(?<![\w.@])((?:[a-z\d-]+\.)+[a-z]{2,})(?=[:/])", text)))

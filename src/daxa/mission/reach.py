"""Whether the archives answer: each address is asked one small question, all at once, for a limited time."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from daxa.exceptions import DAXADownloadError
from daxa.fetch.answers import looks_like_page
from daxa.fetch.http import Client, host
from daxa.fetch.limits import LIMITS
from daxa.fetch.session import RECORD, REPLAY
from daxa.mission import catalogue
from daxa.mission.bucket import read_page
from daxa.mission.catalogue import ESSENTIAL, TapTable
from daxa.mission.endpoints import ADDRESSES, address
from daxa.plain import foreign

#: How long one answer is waited for [s].
PATIENCE_S = 30.0
#: An observation of XMM-Newton that has been public for long.
_OBS_ID = "0123700101"
_FOLDER = f"xmm/data/rev0/{_OBS_ID}"
# beginnings of what an archive may send: gzip, tar, FITS
_FILE = re.compile(rb"\x1f\x8b|SIMPLE  =|.{257}ustar", re.DOTALL)

Question = Callable[[Client, str], str]


class Reached(NamedTuple):
    """What came of a question.

    Attributes
    ----------
    name
        Which address.
    url
        The address.
    ok
        Whether it was answered as it should.
    text
        What was answered.
    seconds
        After how long.
    """

    name: str
    url: str
    ok: bool
    text: str
    seconds: float


def tables(service: str) -> list[TapTable]:
    """The tables that missions ask a service for.

    Parameters
    ----------
    service
        Key of its address.
    """
    from daxa.mission import MISS_INDEX
    from daxa.mission.missions.xmm import XMMMASTER, XSA

    of_missions = (getattr(mission, "table", None) for mission in MISS_INDEX.values())
    found = {t.table: t for t in (XSA, XMMMASTER, *of_missions) if t is not None and t.service == service}
    return list(found.values())


def _catalogue(service: str) -> Question:
    def ask(client: Client, url: str) -> str:
        wanted = tables(service)
        listed = catalogue.all_columns(url, [t.table for t in wanted], client.timeout_s)
        lacking, gone = [], []
        for table in wanted:
            known = listed.get(table.table.lower(), frozenset())
            missing = [
                ours
                for ours, theirs in table.columns.items()
                if not {t.lower() for t in ((theirs,) if isinstance(theirs, str) else theirs)} & known
            ]
            if not known:
                gone.append(table.table)
            elif missing:
                lacking.append(f"{table.table} lacks {', '.join(missing)}")
            if set(missing) & {*ESSENTIAL, *table.needed}:
                gone.append(table.table)
        text = f"lists {len(wanted) - len(set(gone))} of {len(wanted)} tables as they are needed"
        text = "; ".join(
            [text, *(f"{t} is not listed" for t in gone if t not in " ".join(lacking)), *lacking]
        )
        if gone:
            raise DAXADownloadError(text)
        return text

    return ask


def _sesame(client: Client, url: str) -> str:
    found = re.search(r"^%J\s+([-+.0-9]+)\s+([-+.0-9]+)", client.get_text(f"{url}/A", "M31", tries=1), re.M)
    if found is None:
        raise DAXADownloadError("does not know M31")
    return f"M31 is at {found[1]} {found[2]}"


def _directory(path: str, names: str) -> Question:
    def ask(client: Client, url: str) -> str:
        page = client.get_text(f"{url}/{path}", tries=1)
        if names not in page:
            raise DAXADownloadError(f"the page of {path} does not name {names}")
        return f"lists {path}"

    return ask


def _bucket(client: Client, url: str) -> str:
    params = {"list-type": "2", "prefix": f"{_FOLDER}/", "max-keys": "1"}
    try:
        page = read_page(client.get_text(f"{url}/", params, tries=1))
    except ValueError as err:
        raise DAXADownloadError(f"does not list {_FOLDER} ({err})") from err
    if not page.items:
        raise DAXADownloadError(f"has nothing under {_FOLDER}")
    return f"lists {_FOLDER}"


def _file(path: str, separator: str = "/") -> Question:
    def ask(client: Client, url: str) -> str:
        start = client.get_bytes(f"{url}{separator}{path}" if path else url, first=512, tries=1)
        if not _FILE.match(start):
            kind = "a web page" if looks_like_page(start) else foreign(repr(start[:40]))
            raise DAXADownloadError(f"sends {kind} instead of a file")
        return "sends files"

    return ask


#: What each address is asked.
QUESTIONS: Mapping[str, Question] = {
    "sesame": _sesame,
    "xsa_tap": _catalogue("xsa_tap"),
    "xsa_aio": _file("obsno=0505720401&level=PPS&instname=M1&extension=PDF", "?"),
    "heasarc_tap": _catalogue("heasarc_tap"),
    "heasarc_ftp": _directory(f"{_FOLDER}/", "ODF/"),
    "s3": _bucket,
    "erass_dr1": _directory("087/164/", "EXP_"),
    "erass_tiles": _file(""),
    "erosita_edr": _file("eFEDS.tar.gz"),
}


def between() -> Iterator[tuple[str, str]]:
    """What stands between this machine and the archives: proxies, recorded answers."""
    from urllib.request import getproxies

    proxies = sorted(
        {host(url) for scheme, url in getproxies().items() if scheme in ("http", "https", "all")}
    )
    if proxies:
        yield "proxy", ", ".join(proxies)
    for variable, does in ((RECORD, "answers are recorded in"), (REPLAY, "no network: answers are those in")):
        if os.environ.get(variable):
            yield variable, foreign(f"{does} {os.environ[variable]}")


def ask_all(
    others: Mapping[str, tuple[str, Question]] | None = None, patience_s: float = PATIENCE_S
) -> Iterator[Reached]:
    """Ask every address, and give what came, in the order of the addresses.

    Parameters
    ----------
    others
        Further addresses, by name, and what they are asked.
    patience_s
        How long answers are waited for [s]; all questions are asked at once.
    """
    asked = {name: (address(name), QUESTIONS[name]) for name in ADDRESSES}
    asked |= others or {}
    answers: defaultdict[str, list[Reached]] = defaultdict(list)
    limits = replace(LIMITS, page_s=int(patience_s), pace_s=int(patience_s))
    began = time.monotonic()

    def ask(name: str, url: str, question: Question) -> None:
        client = Client(timeout_s=patience_s, limits=limits)
        try:
            ok, text = True, question(client, url)
        except DAXADownloadError as err:
            ok, text = False, str(err)
        except Exception as err:
            ok, text = False, f"unexpected {type(err).__name__}: {err}"
        answers[name].append(Reached(name, foreign(url), ok, foreign(text), time.monotonic() - began))

    # Of a kind that does not keep the program from ending: a name server may be silent for long.
    threads = [
        threading.Thread(target=ask, args=(name, url, question), daemon=True)
        for name, (url, question) in asked.items()
    ]
    for thread in threads:
        thread.start()
    for (name, (url, _)), thread in zip(asked.items(), threads, strict=True):
        thread.join(max(0.0, began + patience_s - time.monotonic()))
        nothing = Reached(name, foreign(url), False, f"no answer within {patience_s:g} s", patience_s)
        yield answers[name][0] if answers[name] else nothing

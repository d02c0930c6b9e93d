"""Listings and catalogues that are wrong on purpose: what they cost, and that others take their place."""

from __future__ import annotations

import re
import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest
import pyvo  # noqa: F401  its memory is not that of an answer
from archive_server import ArchiveServer
from hostile_server import MIB, HostileServer, Request, clock

from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import Client
from daxa.fetch.limits import LIMITS
from daxa.mission import catalogue, remote
from daxa.mission.bucket import read_page
from daxa.mission.catalogue_table import make_frame
from daxa.mission.missions.xmm import XSA

SMALL = replace(LIMITS, listing_requests=30, listing_files=500)
MEMORY = 24 * MIB


def directory(*names: str) -> str:
    return "<html>Index of" + "".join(f'<a href="{n}">x</a>' for n in names) + "</html>"


def bucket(inside: str, start: str = "", token: str = "") -> str:
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>"
    return f"{start}<ListBucketResult>{more if token else ''}{inside}</ListBucketResult>"


def key(name: str) -> str:
    return f"<Contents><Key>{name}</Key><Size>²</Size></Contents>"


def laughs(root: str) -> str:
    tens = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    return f'<!DOCTYPE {root} [<!ENTITY a0 "ha">{tens}]>'


EXTERNAL = '<!DOCTYPE l [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
PARAMETER = '<!DOCTYPE l [<!ENTITY % e SYSTEM "http://127.0.0.1:9/x"> %e;]>'
LINKS = ["a%0ab%1b[31m", "%00nul", "a%5C..%5C..%5Cx", "%e2%80%aegnp.exe", "a" * 300]
HARMLESS = [
    "C:%5Cx",
    "../up",
    "http://evil/x",
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e/",
    "javascript:x",
    "//evil/x",
    "?C=N",
]


def tap(value: str, start: str = "", rows: int = 1) -> str:
    return (
        f'<?xml version="1.0"?>{start}<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        '<RESOURCE type="results"><INFO name="QUERY_STATUS" value="OK"/><TABLE><FIELD name="column_name" '
        f'datatype="char" arraysize="*"/><DATA><TABLEDATA>{f"<TR><TD>{value}</TD></TR>" * rows}</TABLEDATA>'
        "</DATA></TABLE></RESOURCE></VOTABLE>"
    )


def tap_endless(request: Request) -> None:
    request.head(Content_Type="application/x-votable+xml", Transfer_Encoding="chunked")
    start = tap("x").partition("</TABLEDATA>")[0].encode()
    request.wfile.write(b"%x\r\n" % len(start) + start + b"\r\n")
    request.endless(b"<TR><TD>x</TD></TR>" * 1000)


ANSWERS = {
    "tree": lambda r: r.give(directory(*(f"d{i}/" for i in range(20)))),
    "chain": lambda r: r.give(directory("again/")),
    "further": lambda r: r.give(directory(f"d{r.number}/", f"e{r.number}/")),
    "many": lambda r: r.give(directory(*map(str, range(501)))),
    "cut": lambda r: r.give(directory("a")[:-7]),
    "harmless": lambda r: r.give(directory(*HARMLESS, "good.fits")),
    "unclosed": lambda r: r.give("<html>Index of" + "<a " * 200_000 + "<a href=" * 50_000 + "</html>"),
    "link": lambda r: r.give(directory(LINKS[int(r.path.strip("/").split("/")[1])])),
    "token_same": lambda r: r.give(bucket(key("p/x"), token="same")),
    "token_of_two": lambda r: r.give(bucket(key("p/x"), token=f"t{r.number % 2}")),
    "token_new": lambda r: r.give(bucket(key("p/x"), token=f"t{r.number}")),
    "laughs": lambda r: r.give(bucket(key("p/&a9;"), laughs("l"))),
    "external": lambda r: r.give(bucket(key("p/&e;"), EXTERNAL)),
    "parameter": lambda r: r.give(bucket(key("p/x"), PARAMETER)),
    "deep": lambda r: r.give(bucket("<a>" * 50_000)),
    "elements": lambda r: r.give(bucket("<a/>" * 50_000)),
    "climbs": lambda r: r.give(bucket(key("p/../../evil"))),
    "escapes": lambda r: r.give(bucket(key("p/a&#x202e;b"))),
    "error": lambda r: r.give("<Error><Code>Slow\x1b[31m</Code></Error>".replace("\x1b", "&#x9b;")),
    "page": lambda r: r.give("<html><title>Sign in</title></html>"),
    "tap_laughs": lambda r: r.give(tap("&a9;", laughs("VOTABLE"))),
    "tap_external": lambda r: r.give(tap("&e;", EXTERNAL)),
    "tap_parameter": lambda r: r.give(tap("x", PARAMETER)),
    "tap_endless": tap_endless,
    "tap_page": lambda r: r.give("<!DOCTYPE html><title>Sign in</title></html>", Content_Type="text/html"),
    "tap_same": lambda r: r.give(tap("ra")),
    "tap_refuses": lambda r: r.give("no \x1b[31m", 403),
    "tap_nonsense": lambda r: r.give(b"\x00\xff" * 1000),
    "tap_elsewhere": lambda r: r.go("file:///etc/passwd"),
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    server = HostileServer(ANSWERS)
    yield server
    server.close()


def refusal(action, says: str) -> tuple[str, int]:
    tracemalloc.start()
    try:
        with pytest.raises(DAXADownloadError, match=says) as refused:
            action()
        return str(refused.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


DIRECTORIES = {
    "tree": ("has more than 30 pages", 30),
    "further": ("has more than 30 pages", 30),
    "many": ("has more than 500 files", 1),
    "cut": ("the directory page is incomplete", 1),
    "unclosed": ("", 1),
    "page": ("not a directory page", 1),
    **{f"link/{n}": ("refused, its member", 1) for n in range(len(LINKS))},
}
BUCKETS = {
    "token_same": ("begins again and again", 2),
    "token_of_two": ("begins again and again", 3),
    "token_new": ("has more than 30 pages", 30),
    "laughs": ("it defines entities", 1),
    "external": ("it defines entities", 1),
    "parameter": ("it defines entities", 1),
    "deep": ("more than 10 deep", 1),
    "elements": ("nothing under p/", 1),
    "climbs": ("points outside the folder", 1),
    "escapes": ("control characters", 1),
    "error": ("the answer is Error", 1),
    "page": ("the answer is html", 1),
}


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directories(hostile: HostileServer, name: str) -> None:
    says, requests = DIRECTORIES[name]
    hostile.asked.clear()
    client = Client(limits=SMALL, sleep=lambda seconds: None, tries=2)
    if name == "unclosed":
        # what comes after each "<a" is not looked through to the end of the page
        assert remote.list_directory(client, f"{hostile.url}/{name}") == []
        return
    text, memory = refusal(lambda: remote.list_directory(client, f"{hostile.url}/{name}"), says)
    assert len(hostile.asked) == requests
    assert memory < MEMORY
    assert text.isprintable()
    assert len(text) < 600


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets(hostile: HostileServer, name: str) -> None:
    says, requests = BUCKETS[name]
    hostile.asked.clear()
    client = Client(limits=SMALL, sleep=lambda seconds: None)
    text, memory = refusal(lambda: remote.list_bucket(client, f"{hostile.url}/{name}", "p"), says)
    assert len(hostile.asked) == requests
    assert memory < MEMORY
    assert text.isprintable()


def test_a_directory_in_itself_ends(hostile: HostileServer) -> None:
    hostile.asked.clear()
    assert remote.list_directory(Client(), f"{hostile.url}/chain") == []
    assert len(hostile.asked) == LIMITS.directory_depth + 1


def test_links_that_lead_elsewhere_are_left(hostile: HostileServer) -> None:
    files = remote.list_directory(Client(), f"{hostile.url}/harmless")
    assert [f.path for f in files] == ["good.fits"]


def test_a_listing_that_takes_too_long(hostile: HostileServer) -> None:
    client = Client(limits=replace(LIMITS, pace_s=10**9, page_s=10**9), clock=clock(1000))
    with pytest.raises(DAXADownloadError, match="its listing takes more than 3600 s"):
        remote.list_directory(client, f"{hostile.url}/tree")


@pytest.mark.parametrize("text", ["", "<", "<a/>", "<ListBucketResult>", "\x00", "<a xmlns='x'></a>"])
def test_no_page_of_a_bucket(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        read_page(text)


def test_a_page_of_a_bucket_with_names_of_a_space() -> None:
    page = read_page(
        '<s:ListBucketResult xmlns:s="x"><s:Contents><s:Key>a&amp;b</s:Key>'
        "<s:Owner><s:Key>no</s:Key></s:Owner><s:Size>5</s:Size></s:Contents><s:IsTruncated>false</s:IsTruncated></s:ListBucketResult>"
    )
    assert page.items == [{"Key": "a&b", "Size": "5"}]
    assert page.token == ""


# -- catalogues ---------------------------------------------------------------------------------

CATALOGUES = {
    "tap_laughs": "web page, or defines entities",
    "tap_external": "web page, or defines entities",
    "tap_parameter": "web page, or defines entities",
    "tap_endless": "larger than any",
    "tap_page": "web page|",
    "tap_same": "there is no ObsID",
    "tap_refuses": "403",
    "tap_nonsense": "cannot be read",
    "tap_elsewhere": "cannot be read",
}


@pytest.mark.parametrize("name", CATALOGUES)
def test_catalogues(hostile: HostileServer, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("DAXA_URL_XSA_TAP", f"{hostile.url}/{name}")
    monkeypatch.setattr(catalogue, "LIMITS", replace(LIMITS, catalogue_bytes=MIB // 4))
    hostile.asked.clear()
    text, memory = refusal(lambda: catalogue.query(XSA), "cannot be read")
    assert re.search(CATALOGUES[name], text), text
    assert len(hostile.asked) <= 3
    assert memory < MEMORY
    assert text.isprintable()
    assert len(text) < 600


def test_an_answer_in_too_many_pieces(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"observation_id": [f"08000{n:03d}01" for n in range(40)]}
    server.tables["xsa.v_all_observations"] = columns | {
        theirs: ["1"] * 40 for theirs in XSA.columns.values() if theirs != "observation_id"
    }
    server.row_limit = 2
    monkeypatch.setattr(catalogue, "LIMITS", replace(LIMITS, catalogue_pages=10))
    with pytest.raises(DAXADownloadError, match="cannot be asked for the rest"):
        catalogue.query(XSA)
    assert len(server.queries) == 12


@pytest.mark.parametrize(
    "fault", [MemoryError(), RecursionError("deep"), KeyError("x\x1b[31m"), ZeroDivisionError()]
)
def test_what_nobody_thought_of_is_named_and_another_service_serves(
    server: ArchiveServer, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*args: object) -> None:
        raise fault

    monkeypatch.setattr(catalogue, "_run", fail)
    with pytest.raises(DAXADownloadError, match=f"unexpected {type(fault).__name__}") as refused:
        catalogue.query(XSA)
    assert str(refused.value).isprintable()


def table(server: ArchiveServer, **columns: list) -> None:
    server.tables["xsa.v_all_observations"] = {
        "observation_id": ["0800000101"],
        "ra": [10.0],
        "dec": [20.0],
        "start_utc": ["2004-03-01 01:00:00.0"],
        "duration": [36000],
        "with_science": [True],
        "proprietary_end_date": ["2005-06-01 00:00:00.0"],
        "revolution": [70],
    } | columns


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("duration", "duration"),
        ("with_science", "science_usable"),
        ("proprietary_end_date", "proprietary_end_date"),
        ("revolution", "revolution"),
    ],
)
def test_a_renamed_column_costs_a_column(server: ArchiveServer, theirs: str, ours: str) -> None:
    from daxa.mission import XMMPointed

    table(server, end_utc=["2004-03-01 11:00:00.0"])
    columns = server.tables["xsa.v_all_observations"]
    columns[f"new_{theirs}"] = columns.pop(theirs)
    with pytest.warns(UserWarning, match=rf"have changed; it is used without {ours} \({theirs}\)"):
        mission = XMMPointed(source="xsa")
    row = mission.all_obs_info.iloc[0]
    assert row.ObsID == "0800000101"
    assert row.duration.total_seconds() == 36000
    assert row.science_usable
    assert row.proprietary_usable


@pytest.mark.parametrize("theirs", ["observation_id", "ra", "start_utc"])
def test_a_renamed_column_that_is_needed_is_named(server: ArchiveServer, theirs: str) -> None:
    table(server)
    columns = server.tables["xsa.v_all_observations"]
    columns[f"new_{theirs}"] = columns.pop(theirs)
    with pytest.raises(DAXADownloadError, match=rf"its columns have changed: there is no \w+ \({theirs}\)"):
        catalogue.query(XSA)


def test_columns_are_asked_for_once(server: ArchiveServer) -> None:
    table(server)
    catalogue.query(XSA)
    catalogue.query(XSA)
    assert sum("TAP_SCHEMA" in query for query in server.queries) == 1
    # and again when the table has become another one
    columns = server.tables["xsa.v_all_observations"]
    columns["orbit"] = columns.pop("revolution")
    with pytest.raises(DAXADownloadError, match="column revolution not found"):
        catalogue.query(XSA)
    with pytest.warns(UserWarning, match="used without revolution"):
        catalogue.query(XSA)


def test_words_of_catalogues_are_plain(server: ArchiveServer) -> None:
    from daxa.mission import XMMPointed

    table(server, target=["M 87\x1b[31m <b>\u202e".replace("\x1b", "\x9b")])
    mission = XMMPointed(source="xsa")
    (target,) = mission.all_obs_info["target"]
    assert target.isprintable()
    assert target == "M 87\\x9b[31m <b>\\u202e"


@pytest.mark.parametrize("obs_id", ["0800000101\n", "0800000101\x1b", "../0800000101", "0800000101/x"])
def test_identifiers_are_identifiers(obs_id: str) -> None:
    rows = {
        "ObsID": ["0800000201", obs_id],
        "ra": [1, 2],
        "dec": [1, 2],
        "start": ["2001-01-01"] * 2,
        "duration": 1,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = make_frame(rows, "^[0-9]{10}$", "x")
    assert set(frame["ObsID"]) <= {"0800000201", "0800000101"}

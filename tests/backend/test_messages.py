from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daxa.backend.messages import parse_messages

TEXT = """\
epproc:- epproc (epproc-2.33) started
** epproc::epframes: warning (misFrame), event frame 12 not in the frame table
** evselect: error (noEvents), table a.fits: nothing (at all) to select from
** emchain::emevents: warning (SummaryOfWarnings),
   warning BadPixel silently occurred 12 times
   warning OutOfWindow silently occurred 1 times
emchain:- done
   warning NotPartOfIt silently occurred 3 times
not a message: ** evselect: error (x), y
"""


def test_messages_of_tasks_and_nested_tasks():
    warnings, errors = parse_messages(TEXT)
    assert warnings == [
        {
            "originator": "epproc::epframes",
            "name": "misFrame",
            "message": "event frame 12 not in the frame table",
        },
        {"originator": "emchain::emevents", "name": "BadPixel", "message": "silently occurred 12 times"},
        {"originator": "emchain::emevents", "name": "OutOfWindow", "message": "silently occurred 1 times"},
    ]
    assert errors == [
        {
            "originator": "evselect",
            "name": "noEvents",
            "message": "table a.fits: nothing (at all) to select from",
        }
    ]


names = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)
line = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=40)


@given(st.lists(st.tuples(names, names, st.sampled_from(["warning", "error"]), names, line)))
def test_every_message_is_found(messages):
    text = "\n".join(f"noise\n** {a}::{b}: {kind} ({code}), {m}" for a, b, kind, code, m in messages)
    warnings, errors = parse_messages(text)
    for found, wanted in ((warnings, "warning"), (errors, "error")):
        assert [(m["originator"], m["name"], m["message"]) for m in found] == [
            (f"{a}::{b}", code, m) for a, b, kind, code, m in messages if kind == wanted
        ]


@given(st.text(max_size=200))
def test_any_text_is_accepted(text):
    for found in parse_messages(text):
        assert all(set(m) == {"originator", "name", "message"} for m in found)


def test_codes_with_blanks_and_what_scripts_print():
    warnings, errors = parse_messages(
        "** rgsproc: warning (SummaryOfWarnings),\n"
        "warning outside range silently occurred 5072 times\n"
        "warning binning  silently occurred 1 times\n"
        "emchain: warning(badstring) !\n"
        "Non-standard INSTRUME =  |\n"
        "epchain: error(noFile) x.FIT\n"
        "evselect: error (noEvents), in a sentence\n"
    )
    assert [(m["originator"], m["name"]) for m in warnings] == [
        ("rgsproc", "outside range"),
        ("rgsproc", "binning"),
        ("emchain", "badstring"),
    ]
    assert errors == [{"originator": "epchain", "name": "noFile", "message": "x.FIT"}]

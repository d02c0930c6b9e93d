"""Text from outside, as text."""

from __future__ import annotations

import pytest

from daxa.plain import foreign, plain_line, plain_text


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "a\rb", "a\nb", "\x9b2J", "\u2066a\u2069", "a\u200bb", "\u2028", "\ufeff"]
)
def test_nothing_is_left_that_is_obeyed(text: str) -> None:
    assert plain_line(text).isprintable()
    assert foreign(text).isprintable()
    assert plain_line(text) != text


def test_letters_of_any_kind_stay() -> None:
    assert plain_line("données α 北 \U0001f52d\tx") == "données α 北 \U0001f52d\tx"
    assert plain_line("1\u00a0000\u202f0") == "1 000 0"
    assert plain_text("a\n\x1bb") == "a\n\\x1bb"


def test_what_others_say_is_one_line_and_not_long() -> None:
    assert foreign("  Sorry,\n\t closed ") == "Sorry, closed"
    assert len(foreign("\x1b" * 10**6)) == 300
    assert foreign(ValueError("x")) == "x"

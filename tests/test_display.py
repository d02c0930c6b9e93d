"""What objects say of themselves: complete, and nothing in it that a notebook would obey."""

from __future__ import annotations

from html.parser import HTMLParser

from daxa.display import LONGEST, Overview, Table


class Tags(HTMLParser):
    """Tags and their attributes; every tag that is opened is closed."""

    def __init__(self, page):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


ROWS = [[str(n), "<script>alert(1)</script> \x1b[31m'\""] for n in range(LONGEST + 3)]
TOLD = Overview(
    "Archive <b>",
    [("folder", "/a&b")],
    [Table("Rows", ("n", "target"), ROWS)],
    [("see", "f('<x>')"), ("or", "")],
)


def test_html_escapes_everything_and_has_no_scripts_or_colours_of_its_own():
    page = Tags(TOLD.html())
    assert page.open == []
    assert {tag for tag, _ in page.seen} <= {
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "br",
        "code",
    }
    assert all(set(attributes) <= {"style", "scope"} for _, attributes in page.seen)
    styles = " ".join(attributes.get("style", "") for _, attributes in page.seen)
    assert "color:inherit" in styles
    assert "background:none" in styles
    assert "#" not in styles
    assert "\x1b" not in TOLD.html()
    assert "&lt;script&gt;" in TOLD.html()
    assert sum(tag == "tr" for tag, _ in page.seen) == 1 + 1 + LONGEST


def test_text_is_aligned_and_long_tables_are_cut():
    lines = TOLD.text().splitlines()
    assert lines[:2] == ["Archive <b>", "  folder           /a&b"]
    assert lines[lines.index("  Rows") + 1] == "    n   target"
    assert "    ... and 3 more" in lines
    assert lines[-4:] == ["  Next", "    see:", "        f('<x>')", "    or"]
    assert "\x1b" not in TOLD.text()

"""A report in a browser: links, scripts, tables, plots, accessibility, and screenshots to look at.

Usage: ``python benchmarks/report_pages.py REPORT [--shots FOLDER] [--axe axe.min.js] [--pages 3]``

Needs Playwright (``pip install playwright``) and a Chromium (``apt-get install chromium``, or the path in
``$CHROMIUM``); axe-core (``npm install axe-core``) for the rules of accessibility. Pages are opened from the
disk, as a reader does. Prints what is wrong, and ends with 1 if something is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import Any

#: A page may be this large without the library that draws plots.
LARGEST = 2_000_000
#: What axe-core calls worth mending.
SERIOUS = ("serious", "critical")


def browser_of(playwright: Any) -> Any:
    """The browser of this machine."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    return playwright.chromium.launch(
        executable_path=path, args=["--no-sandbox", "--allow-file-access-from-files"]
    )


def links_of(folder: Path, page: Any) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in page.eval_on_selector_all(
        "[href],[src]", "all => all.map(e => e.getAttribute('href') ?? e.getAttribute('src'))"
    ):
        target, _, part = link.partition("#")
        if link.startswith("data:"):
            continue
        if target.startswith(("http:", "https:", "//", "/")):
            found.append(f"{link} leaves the folder")
        elif target:
            path = (Path(page.url.removeprefix("file://")).parent / target).resolve()
            if not path.is_file():
                found.append(f"{link} is not there")
            elif not path.is_relative_to(folder.resolve()):
                found.append(f"{link} leaves the folder")
        elif part and page.query_selector(f"[id='{part}']") is None:
            found.append(f"#{part} is not on the page")
    return found


def tables_of(page: Any) -> list[str]:
    """Tables that do not sort, or a search that does not filter."""
    found = []
    for table in page.query_selector_all("table[data-sortable]"):
        if not table.is_visible():
            continue
        heads = table.query_selector_all("thead th button")
        for number, button in enumerate(heads):
            button.click()
            head = button.evaluate("b => b.parentElement.getAttribute('aria-sort')")
            values = table.evaluate(
                "(t, n) => [...t.tBodies[0].rows].map(r => r.cells[n])"
                ".map(c => c.dataset.sort ?? c.textContent.trim())",
                number,
            )
            numbers = [float(v) for v in values if _is_number(v)]
            if head != "ascending" or numbers != sorted(numbers):
                found.append(f"column {number} does not sort: {values[:5]}")
        heads[0].click()
    search = page.query_selector("input[data-filters]")
    if search:
        search.fill("no such thing at all")
        if page.eval_on_selector_all("#table tbody tr:not([hidden])", "rows => rows.length"):
            found.append("the search does not filter")
        search.fill("")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def plots_of(page: Any) -> list[str]:
    """Plots that are not drawn once they are in sight."""
    found = []
    for area in page.query_selector_all("[data-plot]"):
        area.scroll_into_view_if_needed()
        try:
            area.wait_for_selector(".main-svg", timeout=5000)
        except Exception:
            found.append(f"{area.get_attribute('data-plot')} is not drawn")
    return found


def rules_of(page: Any, axe: Path | None) -> list[str]:
    """Serious findings of axe-core."""
    if axe is None:
        return []
    page.evaluate(axe.read_text(encoding="utf-8"))
    result = page.evaluate("async () => await axe.run()")
    return [
        f"{v['id']} ({v['impact']}): {v['help']}: {v['nodes'][0]['target']} and {len(v['nodes']) - 1} more"
        for v in result["violations"]
        if v["impact"] in SERIOUS
    ]


def check(folder: Path, page: Any, path: Path, axe: Path | None) -> list[str]:
    """All that is wrong with a page."""
    said: list[str] = []
    listen = lambda message: said.append(message.text) if message.type in ("error", "warning") else None  # noqa: E731
    page.on("console", listen)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"file://{path.resolve()}")
    wrong = plots_of(page) + links_of(folder, page) + tables_of(page) + rules_of(page, axe)
    page.remove_listener("console", listen)
    size = path.stat().st_size
    if size > LARGEST:
        wrong.append(f"{size:,} bytes")
    return [f"console: {text}" for text in said] + wrong


def shoot(page: Any, path: Path, shots: Path) -> None:
    """Pictures of a page: light, dark, narrow, and on paper."""
    for name, width, scheme in (("light", 1360, "light"), ("dark", 1360, "dark"), ("narrow", 390, "light")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"file://{path.resolve()}")
        plots_of(page)
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(400)
        page.screenshot(path=str(shots / f"{path.stem}-{name}.png"), full_page=True)
        page.screenshot(path=str(shots / f"{path.stem}-{name}-first.png"))
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 1360, "height": 900})
    page.goto(f"file://{path.resolve()}")
    page.pdf(path=str(shots / f"{path.stem}.pdf"), format="A4", prefer_css_page_size=True)


def main() -> int:
    """Check the pages of a report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("report", type=Path)
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--axe", type=Path)
    parser.add_argument("--pages", type=int, default=3, help="pages of observations that are looked at")
    given = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("Playwright is not installed: pip install playwright")
        return 0
    pages = [given.report / "index.html", given.report / "record.html"]
    pages += sorted((given.report / "observations").glob("*.html"))[: given.pages]
    wrong = 0
    with sync_playwright() as playwright:
        browser = browser_of(playwright)
        for path in pages:
            page = browser.new_page()
            found = check(given.report, page, path, given.axe)
            if given.shots:
                given.shots.mkdir(parents=True, exist_ok=True)
                shoot(page, path, given.shots)
            page.close()
            wrong += len(found)
            print(
                f"{path.relative_to(given.report)}: {path.stat().st_size:,} bytes, "
                + ("nothing wrong" if not found else "")
            )
            for text in found:
                print(f"  {text}")
        browser.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Hooks of MkDocs: pages that are made of other files, and lists of pages in the contents."""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

log = logging.getLogger("mkdocs.hooks.site")
ROOT = Path(__file__).resolve().parent.parent
#: Pages of the site that are files beside docs/.
OTHERS = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_config(config: Any) -> Any:
    """Put the pages of a folder where the contents name the folder."""
    config["nav"] = [_with_pages(item, Path(config["docs_dir"])) for item in config["nav"]]
    return config


def _with_pages(item: Any, docs: Path) -> Any:
    if not isinstance(item, dict):
        return item
    [(title, inside)] = item.items()
    if isinstance(inside, list):
        made = (_with_pages(one, docs) for one in inside)
        return {title: [one for one in made if one]}
    if not inside.endswith("/"):
        return item
    names = sorted(path.name for path in (docs / inside).iterdir() if path.suffix in (".md", ".ipynb"))
    names.sort(key=lambda name: name != "index.md")
    return {title: [inside + name for name in names]}


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are files beside docs/."""
    for name, source in OTHERS.items():
        text = re.sub(r"\]\(docs/", "](", (ROOT / source).read_text(encoding="utf-8"))
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Let links of notebooks lead to pages, and take out scripts, which ask other servers for things."""
    if not page.file.src_uri.endswith(".ipynb"):
        return html

    def lead(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), match["path"]))
        target = files.get_file_from_path(path)
        if target is None:
            log.warning("%s: no page %s", page.file.src_uri, match["path"])
            return match[0]
        return f'href="{target.url_relative_to(page.file)}{match["anchor"] or ""}"'

    html = re.sub(r"<script\b.*?</script>", "", html, flags=re.IGNORECASE | re.DOTALL)
    return re.sub(r'href="(?P<path>[^":]+\.(?:md|ipynb))(?P<anchor>#[^"]*)?"', lead, html)

"""Renders the guides in docs/ as HTML pages, so that alerts can link to a section of the runbook."""

import itertools
import re
from collections.abc import Collection
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ max-width: 50rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }}
code, pre {{ background: #f0f0f0; }} pre {{ padding: 0.5rem; overflow-x: auto; }} :target {{ background: #fff3b0; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid #ccc; padding: 0.2rem 0.5rem; text-align: left; }}
</style></head>
<body>
{body}</body></html>
"""


def write(source: Path, target: Path) -> None:
    """Write a page `<name>.html` for each `<name>.md` of a directory."""
    target.mkdir(exist_ok=True)
    guides = {path.name: path.read_text(encoding="utf-8") for path in source.glob("*.md")}
    for name, text in guides.items():
        (target / name).with_suffix(".html").write_text(page(text, guides.keys()), encoding="utf-8")


def page(text: str, guides: Collection[str]) -> str:
    """The page of a guide. A link to another guide leads to its page, and one to any other file becomes text."""
    markdown = MarkdownIt("commonmark").enable("table")
    tokens = markdown.parse(text)
    for heading, content in itertools.pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrSet("id", anchor(content.content))
        for child in heading.children or ():
            _lead_to_page(child, guides)
    title = next((token.content for token in tokens if token.type == "inline"), "")
    return _PAGE.format(title=title, body=markdown.renderer.render(tokens, markdown.options, {}))


def anchor(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def _lead_to_page(token: Token, guides: Collection[str]) -> None:
    link = token.attrGet("href") if token.type == "link_open" else None
    if not isinstance(link, str) or "://" in link:
        return
    path, separator, section = link.partition("#")
    if not path:
        return
    if path in guides:
        token.attrSet("href", path.removesuffix(".md") + ".html" + separator + section)
    else:
        del token.attrs["href"]

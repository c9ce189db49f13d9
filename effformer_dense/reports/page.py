"""A page of HTML: headings, sentences, tables and pictures. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from urllib.parse import quote

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1700px; padding: 0 1rem; color: #141414; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; } td, th { padding: 0.1rem 1rem 0.1rem 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
"""


class Page:
    """Collects what a page shows, from top to bottom.

    Args:
        title: of the page.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = [f'<h1>{escape(title)}</h1>']

    def heading(self, text: str) -> None:
        """A section begins."""
        self._parts.append(f'<h2>{escape(text)}</h2>')

    def items(self, texts: Iterable[str]) -> None:
        """A list; nothing where there is nothing to list."""
        rows = ''.join(f'<li>{escape(text)}</li>' for text in texts)
        if rows:
            self._parts.append(f'<ul>{rows}</ul>')

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table; its first column is text, the others are numbers."""
        head = ''.join(f'<th>{escape(name)}</th>' for name in header)
        body = ''.join(f'<tr>{"".join(f"<td>{escape(str(cell))}</td>" for cell in row)}</tr>' for row in rows)
        self._parts.append(f'<table><tr>{head}</tr>{body}</table>')

    def picture(self, file: str, text: str) -> None:
        """A picture beside the page; ``text`` says what is in it."""
        self._parts.append(f'<p><img loading="lazy" src="{escape(quote(file))}" alt="{escape(text)}"></p>')

    def html(self) -> str:
        """The page."""
        head = f'<meta charset="utf-8"><title>{escape(self._title)}</title><style>{_STYLE}</style>'
        body = '\n'.join(self._parts)
        return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'

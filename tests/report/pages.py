"""What a page says, and what it is made of."""

from __future__ import annotations

from html.parser import HTMLParser


class Text(HTMLParser):
    """The text of a page without its style, and all its tags with attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self._style = "", False
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else f"{data} "

"""Check the links within a built site: every file and every anchor that a page names is there.

    python docs/check_links.py docs/_build/html

Sphinx checks the references that it makes itself; this looks at what came out, included pages and
the theme's links among them. Addresses of other sites are not looked up.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag points to and what it is called."""
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" or (name == "name" and tag == "a"):
                self.anchors.add(value or "")


def broken_links(site: Path) -> list[str]:
    """Return a line per link that leads nowhere, "page: link"."""
    found = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    pages = {path.resolve(): Page(path) for path in found}
    broken = []
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            is_there = target.is_file() and (
                not anchor or target not in pages or anchor in pages[target].anchors
            )
            if not is_there:
                broken.append(f"{path.relative_to(site.resolve())}: {link}")
    return broken


def main() -> int:
    """Report; 1 where a link is broken, 2 where there is no site."""
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        print(f"no site in {site}: it lacks index.html", file=sys.stderr)
        return 2
    broken = broken_links(site)
    print("\n".join(broken) or f"no broken link in {len(list(site.rglob('*.html')))} pages")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

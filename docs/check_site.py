"""Check the built site: `python docs/check_site.py build/site`.

Each link within it leads to a page and a place that are there, and no page fetches anything from
elsewhere when it is read: no script, font, style or picture. Links of other sites need a network:
`sphinx-build -b linkcheck docs build/links`.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FETCHED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src"}
_IN_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)")


class Page(HTMLParser):
    """The links of a page, the places in it, and what a browser fetches to show it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places = {""}
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") not in ("canonical", "author", "license"):
            self.fetched.append(given.get("href", ""))
        if tag in _FETCHED and _FETCHED[tag] in given:
            self.fetched.append(given[_FETCHED[tag]])


def faults(site: Path) -> Iterator[str]:
    """What is wrong, one sentence each."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site} has no pages; build it first"
    for path, page in pages.items():
        for link in page.links + page.fetched:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.fetched and parts.scheme != "data":
                    yield f"{path} fetches {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            there = pages.get(site.resolve() / target)
            if not target.is_file():
                yield f"{path}: no file for {link}"
            elif there is not None and unquote(parts.fragment) not in there.places:
                yield f"{path}: no place for {link}"
    for style in sorted(site.rglob("*.css")):
        for address in _IN_STYLES.findall(style.read_text("utf-8")):
            yield f"{style} fetches {address}"


def main() -> int:
    """Print what is wrong; the exit status says whether there was anything."""
    found = list(faults(Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "all links lead somewhere, and nothing is fetched from elsewhere")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Photograph the app's pages for the documentation.

    python benchmarks/screenshots.py FOLDER      # every page, three widths, two themes
    python benchmarks/screenshots.py docs --only workbench   # the one in README

Needs playwright and an installed Chromium. Pages show scikit-image's photographs alone.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image
from soak import SETTLED, Server, chromium

from deconvviz.ui.navigation import shipped_folder

SIZES = {"": (1440, 900), "-wide": (1920, 1080), "-phone": (390, 844)}


def photograph(page: Any, address: str, path: Path) -> None:
    """Wait until a page is drawn, and keep what is seen of it."""
    page.goto(address)
    for _ in range(3):  # a page goes on after its first elements
        page.wait_for_function(SETTLED, timeout=300_000)
        page.wait_for_function(
            "() => !document.querySelector('[data-testid=stSkeleton], [data-testid=stSpinner]')"
        )
        time.sleep(1)
    page.screenshot(path=path)


def main() -> None:
    """Start the app and photograph what is asked for."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", metavar="PAGE", help="this page alone, light, in one width")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    names = sorted(path.stem for path in shipped_folder("pages").glob("*.py"))
    sizes = {"": SIZES[""]} if given.only else SIZES
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        server = Server(Path(folder))
        try:
            server.wait()
            for scheme in ("light",) if given.only else ("light", "dark"):
                for ending, (width, height) in sizes.items():
                    page = browser.new_page(
                        viewport={"width": width, "height": height}, color_scheme=scheme
                    )
                    for name in [given.only] if given.only else names:
                        dark = "-dark" if scheme == "dark" else ""
                        path = given.folder / f"{name}{ending}{dark}.png"
                        where = "" if name == "workbench" else name
                        photograph(page, f"{server.address}/{where}", path)
                    page.close()
        finally:
            browser.close()
            server.stop()
    if given.only:
        path = given.folder / f"{given.only}.png"
        Image.open(path).convert("RGB").save(path.with_suffix(".webp"), quality=90)
        path.unlink()


if __name__ == "__main__":
    main()

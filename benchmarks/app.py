"""Time the workbench in a real browser: start, clicks, layers, hovers.

    python benchmarks/app.py [--write]           # the network that the app opens with
    python benchmarks/app.py torchvision/vgg16   # random weights, at 224 pixels

Needs playwright and an installed Chromium. The app runs in a process of its own, on a free port. A
time is from the click to the moment at which everything that belongs to it is on the page and
drawn: for a unit its three projections and the whole picture through it, for a layer its tiles and
what lies over the picture. Run it on a quiet machine.
"""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from report import environment, markdown, options, publish
from soak import Server, chromium

PATIENCE = 120_000  # milliseconds
UNITS, LAYERS, HOVERS = 12, 12, 50
BARS = {"start": 5.0, "unit, new": 0.5, "unit, again": 0.15, "layer": 0.8, "hover": 0.016}

DRAWN = """([layer]) => {
    const root = [...document.querySelectorAll('*')]
        .map((one) => one.shadowRoot).find((one) => one?.querySelector('.bench'));
    if (!root) return false;
    const chosen = root.querySelector('button.layer[aria-pressed=true]');
    if (layer && chosen?.innerText.trim() !== layer) return false;
    const canvas = root.querySelector('.lit');
    if (!canvas || canvas.width <= 300 && canvas.height <= 150) return false;  // not sized yet
    return root.querySelectorAll('button.tile').length > 0
        && [...root.querySelectorAll('img')].every((one) => one.complete && one.naturalWidth);
}"""
SHOWN = """([unit]) => {
    const wanted = ['deconvnet', 'guided', 'gradient']
        .map((rule) => `Unit ${unit} reconstructed by the ${rule} rule`);
    const images = [...document.images];
    const there = (test) => images.some((one) => test(one.alt) && one.complete && one.naturalWidth);
    return wanted.every((alt) => there((one) => one === alt))
        && there((one) => one.includes(`through unit ${unit},`));
}"""
HOVER = """([at]) => {
    const root = [...document.querySelectorAll('*')]
        .map((one) => one.shadowRoot).find((one) => one?.querySelector('.bench'));
    const tiles = root.querySelectorAll('button.tile');
    const began = performance.now();
    tiles[at % tiles.length].dispatchEvent(new MouseEvent('mouseenter'));
    root.querySelector('.lit').getContext('2d').getImageData(0, 0, 1, 1);  // waits for the drawing
    return (performance.now() - began) / 1000;
}"""


def timed(page: Any, selector: str, at: int, wanted: str, about: str) -> float:
    """Seconds from a click in the page until a condition holds, looked at in every frame."""
    script = """([selector, at, wanted, about, patience]) => new Promise((done, failed) => {
        const root = [...document.querySelectorAll('*')]
            .map((one) => one.shadowRoot).find((one) => one?.querySelector('.bench'));
        const holds = eval(wanted), began = performance.now();
        const look = () => {
            const passed = performance.now() - began;
            if (holds([about])) done(passed / 1000);
            else if (passed > patience) failed(new Error(`not there: ${about}`));
            else requestAnimationFrame(look);
        };
        root.querySelectorAll(selector)[at].click();
        requestAnimationFrame(look);
    })"""
    return float(page.evaluate(script, [selector, at, wanted, about, PATIENCE]))


def measure(page: Any, address: str, began: float, model: str) -> dict[str, list[float]]:
    """All times, in seconds; `began` is when the server's process was started."""
    page.goto(f"{address}/?model={model}" if model else address)
    page.wait_for_function(DRAWN, arg=[""], polling=10, timeout=PATIENCE)
    found = {"start": [time.perf_counter() - began]}
    quiet(page)
    tiles = page.locator("button.tile")
    units = [tiles.nth(at).get_attribute("data-channel") for at in range(min(UNITS, tiles.count()))]
    for name in ("unit, new", "unit, again"):
        found[name] = []
        for at, unit in list(enumerate(units))[1:]:
            found[name].append(timed(page, "button.tile", at, SHOWN, unit))
            quiet(page)
    found["hover"] = [page.evaluate(HOVER, [at]) for at in range(HOVERS)]
    buttons = page.locator("button.layer")
    names = [one.strip() for one in buttons.all_inner_texts()]
    chosen = [one.get_attribute("aria-pressed") == "true" for one in buttons.all()].index(True)
    order = [(chosen + step) % len(names) for step in range(1, len(names))][:LAYERS]
    found["layer"] = []
    for name in (names[at] for at in order):
        now = [one.strip() for one in buttons.all_inner_texts()]
        if name not in now:  # one that stood there only because it was chosen
            continue
        found["layer"].append(timed(page, "button.layer", now.index(name), DRAWN, name))
        quiet(page)
    return found


def quiet(page: Any) -> None:
    """Wait until the page's script is done."""
    state = "document.querySelector('[data-testid=stApp]').dataset.testScriptState"
    page.wait_for_function(f"() => {state} === 'notRunning'", timeout=PATIENCE)
    page.wait_for_timeout(300)


def main() -> None:
    """Measure, and print a table for RESULTS.md."""
    from playwright.sync_api import sync_playwright

    parser = options(__doc__)
    parser.add_argument("model", nargs="?", default="", help="a network instead of the first one")
    given = parser.parse_args()
    model = given.model
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        began = time.perf_counter()
        server = Server(Path(folder), [model, "--weights=none"] if model else [])
        try:
            server.wait()
            found = measure(page, server.address, began, model)
        finally:
            browser.close()
            server.stop()
    rows = []
    for name, times in found.items():
        high = sorted(times)[max(0, round(0.95 * len(times)) - 1)]
        row = (f"{one:.3f}" for one in (statistics.median(times), high))
        rows.append([name, *row, str(len(times)), f"{BARS[name]:g}"])
    heads = ["seconds", "median", "95th percentile", "times", "wanted at most"]
    what = f"`{model or 'demo-photos'}`; {environment()}"
    publish(
        f"The workbench: {model or 'demo-photos'}",
        f"{what}\n\n{markdown(heads, rows)}",
        write=given.write,
    )


if __name__ == "__main__":
    main()

"""Twenty people in the app for ten minutes: errors, crossings, and the server's memory.

    python benchmarks/soak.py [--people 20] [--minutes 10] [--write]

A server of its own on 127.0.0.1, and one Chromium (installed already) in which each person is a
browser context. Everyone uploads pictures in a colour and under names of their own, opens pages,
and changes pickers. Errors are exceptions and error boxes on a page, errors of the browser's
console, requests that fail, pages that never settle, and tracebacks in the server's log. A crossing
is a page that shows another person's name or colour. The clock starts when everyone has uploaded;
memory is the server's resident set, under work the median of a minute's samples: like beside like.
Linux only.
"""

import argparse
import asyncio
import colorsys
import json
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from report import environment, markdown, options, publish

import deconvviz

APP = Path(deconvviz.__file__).parent / "app.py"
QUIET = 5  # looks at a page, 0.2 s apart, that find no script at work
SAMPLE = 2.0  # seconds between two looks at the server's memory
PAGES = ("Filters", "Atlas", "Evolution", "Experiments", "Accuracy", "The network")
HEADINGS = {"Workbench": "What does the network see?"}
STREAMLITS_OWN = re.compile(r"/_stcore/(health|host-config)$")  # looked for below a page first
NAME = re.compile(r"person-(\d+)-")
SETTLED = """() => {
    const app = document.querySelector('[data-testid=stApp]');
    return app && app.dataset.testScriptState === 'notRunning' && document.querySelector('h1')
        && [...document.images].every((image) => image.complete);
}"""
LOST = """() => [...document.images]
    .filter((one) => one.offsetParent && one.complete && !one.naturalWidth)
    .map((one) => `${one.alt} ${one.src}`.slice(0, 200)).join('; ')"""
BYTES = """async (url) => {
    const answer = await fetch(url);
    return answer.ok ? [...new Uint8Array(await answer.arrayBuffer())] : [];
}"""

# With the alternatives of all pictures, also of those in components.
WORDS = """() => [document, ...[...document.querySelectorAll('*')].map((one) => one.shadowRoot)]
    .flatMap((root) => root ? [...root.querySelectorAll('img')].map((one) => one.alt) : [])
    .join() + document.body.innerText"""


@dataclass
class Notes:
    """What was seen, by all."""

    errors: list[str] = field(default_factory=list)
    crossings: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)


@dataclass
class Person:
    """One browser context with a colour, and names that begin with its number."""

    number: int
    people: int
    page: Any
    notes: Notes
    patience: float
    uploads: int = 0
    entered: bool = False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.number)  # noqa: S311  the same clicks on every run
        self.page.set_default_timeout(1000 * self.patience)
        self.page.on("pageerror", lambda error: self.error(f"page: {error}"))
        self.page.on("console", self.console)
        self.page.on("requestfailed", self.failed)

    def error(self, text: str) -> None:
        """Note an error."""
        self.notes.errors.append(f"person {self.number}: {text[:300]}")
        log(self.notes.errors[-1])

    def console(self, said: Any) -> None:
        """Note an error of the browser's console."""
        url = said.location.get("url", "")
        if said.type != "error" or STREAMLITS_OWN.search(url):
            return
        if "/media/" in url or "/media/" in said.text:  # `settled` looks what came
            self.notes.done["pictures replaced before they arrived"] += 1
            return
        self.error(f"console: {said.text} {url}")

    def failed(self, request: Any) -> None:
        """Note a request that failed; a picture that the page no longer shows may be aborted."""
        if request.failure != "net::ERR_ABORTED":
            self.error(f"request: {request.url} {request.failure}")

    async def said(self) -> str:
        """The page's own messages, and whether its script is at work."""
        try:
            boxes = await self.page.get_by_test_id("stAlert").all_text_contents()
            state = await self.page.get_by_test_id("stApp").get_attribute(
                "data-test-script-state", timeout=5000
            )
            names = self.page.get_by_test_id("stButtonGroup").first
            chosen = (await names.inner_text(timeout=5000)).split("\n")
        except Exception as error:  # noqa: BLE001  the page itself may be gone
            return f"the page does not answer: {error!s:.80}"
        return f"script {state}; pictures: {chosen}; messages: {boxes}"

    async def settled(self) -> None:
        """Wait for the page; then look for errors, lost pictures, and others' names."""
        began, quiet = time.monotonic(), 0
        while quiet < QUIET:  # a click takes a while to reach a busy server
            await self.page.wait_for_function(SETTLED)
            await self.page.wait_for_timeout(200)
            quiet = quiet + 1 if await self.page.evaluate(SETTLED) else 0
        self.notes.waits.append(time.monotonic() - began - 0.2 * QUIET)
        if lost := await self.page.evaluate(LOST):
            self.error(f"lost pictures: {lost}")
        for kind in ("stException", "stAlertContentError"):
            for box in await self.page.get_by_test_id(kind).all():
                self.error(f"{kind}: {await box.text_content()}")
        words = await self.page.evaluate(WORDS)
        for other in set(map(int, NAME.findall(words))) - {self.number}:
            self.notes.crossings.append(f"person {self.number} reads the name of {other}")

    async def upload(self) -> None:
        """Upload a picture, and look whether it is this person's that is shown."""
        self.uploads += 1
        name = f"person-{self.number}-{self.uploads}.png"
        seed = 1000 * self.number + self.uploads
        file = {"name": name, "mimeType": "image/png", "buffer": picture(self.hue, seed)}
        uploaders = self.page.locator(".st-key-own-pictures input[type=file]")
        await uploaders.last.set_input_files(file)
        await self.page.get_by_alt_text(re.compile(f"{name}, with")).first.wait_for()
        await self.settled()
        await self.check_colour()

    @property
    def hue(self) -> float:
        """This person's, in [0, 1)."""
        return self.number / self.people

    async def check_colour(self) -> None:
        """Compare the picture that the page shows as the input with this person's colour."""
        image = self.page.get_by_alt_text(re.compile(r"person-.*, with")).first
        content = b""
        for _ in range(5):  # it may be replaced between the two lines
            address = await image.get_attribute("src")
            if content := bytes(await self.page.evaluate(BYTES, address)):
                break
        stored = Image.open(BytesIO(content))
        red, green, blue = np.median(np.asarray(stored.convert("RGB")), axis=(0, 1)) / 255
        hue, _, _ = colorsys.rgb_to_hsv(red, green, blue)
        nearest = round(hue * self.people) % self.people
        if nearest != self.number:
            self.notes.crossings.append(f"person {self.number} sees the colour of {nearest}")
        self.notes.done["colours compared"] += 1

    async def open(self, name: str) -> None:
        """Go to a page by its link, in the same session."""
        links = self.page.get_by_test_id("stSidebarNavLink")
        await links.filter(has_text=name).click()
        title = HEADINGS.get(name, name)
        await self.page.get_by_role("heading", name=title, level=1).wait_for()
        await self.settled()

    async def pick(self) -> None:
        """Choose another layer, rule, unit, class or place."""
        what = self.chance.choice(("layer", "rule", "unit", "class", "place"))
        if what == "place":
            stage = self.page.locator(".stage")
            box = await stage.bounding_box()
            place = {
                "clientX": box["x"] + self.chance.random() * box["width"],
                "clientY": box["y"] + self.chance.random() * box["height"],
            }
            await stage.dispatch_event("click", place)
        else:
            buttons = {"layer": "button.layer", "unit": "button.tile", "class": "button.class"}
            found = self.page.locator(buttons.get(what, "[data-testid=stButtonGroup] button"))
            count = await found.count()
            if not count:
                self.error(f"nothing to pick for {what}")
                return
            first = count - 3 if what == "rule" else 0  # the rules are the last group
            await found.nth(first + self.chance.randrange(min(count - first, 6))).click()
        await self.settled()
        self.notes.done[what] += 1

    async def round(self) -> None:
        """A page, then the own picture: pickers, and now and then another upload."""
        name = self.chance.choice(PAGES)
        await self.open(name)
        self.notes.done[name] += 1
        if name in ("Atlas", "Filters") and await self.page.locator("button.tile").count():
            await self.page.locator("button.tile").nth(self.chance.randrange(6)).click()
            await self.settled()
        await self.open("Workbench")
        await self.check_colour()
        for _ in range(3):
            await self.pick()
            await self.check_colour()
        if self.chance.random() < 0.5:
            await self.upload()
            self.notes.done["upload"] += 1


def picture(hue: float, seed: int) -> bytes:
    """A PNG of 400 x 300: one colour with shapes of its own brightness, so that units differ."""
    values = np.random.default_rng(seed)
    value = np.full((300, 400), 0.8)
    for _ in range(60):
        y, x, size = values.integers(0, 300), values.integers(0, 400), values.integers(8, 60)
        value[y : y + size, x : x + size] = values.uniform(0.5, 1)
    colour = np.array(colorsys.hsv_to_rgb(hue, 0.9, 1.0))
    stream = BytesIO()
    Image.fromarray((255 * value[..., None] * colour).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


class Server:
    """The app in a process of its own, with a log."""

    def __init__(self, folder: Path, arguments: Sequence[str] = ()) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.log = folder / "server.log"
        port = self.address.rpartition(":")[2]
        words = ["-m", "streamlit", "run", str(APP), "--server.headless=true"]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(  # noqa: S603  our own app
                [sys.executable, *words, f"--server.port={port}", "--", *arguments],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(APP.parents[1]),
                    "XDG_CACHE_HOME": str(folder / "cache"),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.samples: list[tuple[float, float]] = []

    def wait(self) -> None:
        """Return when it answers."""
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.address}/_stcore/health", timeout=5):  # noqa: S310
                    return
            except OSError:
                time.sleep(0.2)
        raise SystemExit(f"the app did not start:\n{self.log.read_text('utf-8', 'replace')}")

    def memory(self) -> float:
        """Resident megabytes of the server."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    async def watch(self) -> None:
        """Sample the memory until cancelled."""
        while True:
            self.samples.append((time.monotonic(), self.memory()))
            await asyncio.sleep(SAMPLE)

    def median(self, begin: float, end: float) -> float:
        """The middle of the samples between two times."""
        return statistics.median(size for at, size in self.samples if begin <= at <= end)

    def tracebacks(self) -> list[str]:
        """The log's tracebacks, each with its last line."""
        text = self.log.read_text("utf-8", "replace")
        return [part.strip()[-300:] for part in text.split("Traceback (most recent")[1:]]

    def stop(self) -> None:
        """End it as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def chromium() -> str | None:
    """An installed browser."""
    return next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


def log(text: str) -> None:
    """A line of progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


async def guarded(person: Person, work: Callable[[], Awaitable[None]]) -> None:
    """One piece of a person's work; a page that never settles is an error, and work goes on."""
    try:
        await work()
    except Exception as error:  # noqa: BLE001  whatever the browser says is to be counted
        person.error(
            f"{type(error).__name__}: {str(error).splitlines()[-1]}; {await person.said()}"
        )
        person.entered = False


async def enter(person: Person, address: str) -> None:
    """Open the app and upload the first picture."""
    await person.page.goto(f"{address}/")
    await person.settled()
    await person.upload()
    person.entered = True


async def stay(person: Person, address: str, until: float) -> None:
    """Work until a time; after an error in a new session."""
    while time.monotonic() < until:
        await guarded(person, person.round if person.entered else partial(enter, person, address))


async def soak(server: Server, people: int, minutes: float, patience: float) -> dict[str, Any]:
    """Everyone's work, and what was measured; see `main` for the arguments."""
    from playwright.async_api import async_playwright

    notes, memory = Notes(), {"before": server.memory()}
    watcher = asyncio.create_task(server.watch())
    async with async_playwright() as playwright:
        path = chromium()
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = await playwright.chromium.launch(executable_path=path, args=words)
        visitors = []
        for number in range(people):
            context = await browser.new_context(viewport={"width": 1000, "height": 700})
            visitors.append(Person(number, people, await context.new_page(), notes, patience))
        began = time.monotonic()
        log("everyone enters")
        await asyncio.gather(
            *(guarded(one, partial(enter, one, server.address)) for one in visitors)
        )
        entered = time.monotonic() - began
        log(f"all have uploaded, after {entered:.0f} s; {len(notes.errors)} errors so far")
        start = time.monotonic()
        until = start + 60 * minutes
        await asyncio.gather(*(stay(one, server.address, until) for one in visitors))
        minute = min(60, 20 * minutes)
        memory["second minute"] = server.median(start + minute, start + 2 * minute)
        memory["last minute"] = server.median(until - minute, until)
        watcher.cancel()
        for one in visitors:
            await one.page.context.close()
        await browser.close()
    await asyncio.sleep(5)
    memory |= {"after all left": server.memory(), "most": max(size for _, size in server.samples)}
    waits = sorted(notes.waits)
    return {
        "people": people,
        "minutes": minutes,
        "cores": len(os.sched_getaffinity(0)),
        "errors": notes.errors + server.tracebacks(),
        "crossings": notes.crossings,
        "uploads": sum(one.uploads for one in visitors),
        "done": dict(notes.done),
        "seconds until all had uploaded": round(entered, 1),
        "wait": {
            "median": round(waits[len(waits) // 2], 2),
            "p95": round(waits[int(0.95 * (len(waits) - 1))], 2),
            "count": len(waits),
        },
        "memory, MB": {name: round(size) for name, size in memory.items()},
        "samples, MB": [round(size) for _, size in server.samples],
        "growth": round(memory["last minute"] / memory["second minute"] - 1, 4),
    }


def table(found: dict[str, Any]) -> str:
    """The section of RESULTS.md."""
    size, wait = found["memory, MB"], found["wait"]
    heads = ["people", "minutes", "cores", "pages", "uploads", "errors", "crossings"]
    heads += ["before, MB", "second minute", "last minute", "most", "all left", "last / second"]
    row = [found["people"], f"{found['minutes']:g}", found["cores"], wait["count"]]
    row += [found["uploads"], len(found["errors"]), len(found["crossings"]), size["before"]]
    row += [size["second minute"], size["last minute"], size["most"], size["after all left"]]
    row += [f"**{1 + found['growth']:.2f}**"]
    import streamlit

    return (
        f"`python benchmarks/soak.py`; {environment(streamlit=streamlit.__version__)}.\n\n"
        "Browsers, in one Chromium on the same cores as the server, that upload pictures in "
        "colours of their own, open pages and change pickers; the server's resident memory, of the "
        "second and the last minute the median while all work. A "
        f"page settled after {wait['median']:.1f} s (median), {wait['p95']:.1f} s (95th "
        "percentile).\n\n" + markdown(heads, [list(map(str, row))])
    )


def main() -> None:
    """Run it, print JSON and the table; exit status 1 where it does not hold."""
    parser = options(__doc__)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument(
        "--patience",
        type=float,
        default=300,
        help="seconds until a page that does not settle is an error; more on a busy machine",
    )
    parser.add_argument("--keep-log", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            server.wait()
            found = asyncio.run(soak(server, given.people, given.minutes, given.patience))
        finally:
            server.stop()
            if given.keep_log:
                shutil.copy(server.log, given.keep_log)
    print(json.dumps(found, indent=1))  # noqa: T201
    publish("Twenty people", table(found), write=given.write)
    sys.exit(bool(found["errors"] or found["crossings"] or found["growth"] > 0.1))


if __name__ == "__main__":
    main()

"""The code on the pages of the documentation, found and run as its reader would run it.

A block is run unless the line above its fence says `<!-- not run: REASON -->`. Blocks of a page run
in order, in one folder and one namespace. A block of Python that begins with `# NAME.py` is that
file; a shell block is run line by line.
"""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import typer
from typer.testing import CliRunner

from deconvviz.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- not run: (.+) -->\s*\Z")


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        line: Number of its first line on the page.
        reason: Why it is not run; empty if it is.
    """

    page: str
    line: int
    language: str
    code: str
    reason: str

    @property
    def file(self):
        """The file that a block of Python says it is, or None."""
        found = re.match(r"# (\w+\.py)\n", self.code)
        return found and found[1]


def blocks(path):
    text = path.read_text("utf-8")
    for found in _FENCE.finditer(text):
        indent, language, code = found.groups()
        lines = (line.removeprefix(indent) for line in code.splitlines(keepends=True))
        mark = _MARK.search(text[: found.start()])
        line = text[: found.start(3)].count("\n") + 1
        yield Block(path.name, line, language, "".join(lines), mark[1] if mark else "")


def check_python(block):
    """It is Python: statements, or lines of a table."""
    try:
        ast.parse(block.code)
    except SyntaxError:
        ast.parse(f"{{{block.code}}}")


def run_python(block, folder, namespace):
    if block.file:
        (folder / block.file).write_text(block.code)
        return
    # so that tracebacks name the page, and its line
    tree = ast.increment_lineno(ast.parse(block.code), block.line - 1)
    exec(compile(tree, block.page, "exec"), namespace)


def lines(block):
    """The commands of a shell block, each as its words."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while command and re.match(r"[A-Z_]+=", command[0]):
                command = command[1:]
            if command:
                yield command


def command_in(words):
    """What follows `deconvviz` in a command of ours, or None for another one's."""
    if words[0] == "deconvviz":
        return words[1:]
    if words[0] == "torchrun" and "deconvviz" in words:
        return words[words.index("deconvviz") + 1 :]
    return None


def check_shell(words):
    """The command exists, and each of its options; files and extras that it names, too."""
    ours = command_in(words)
    if ours is not None:
        check_command(ours)
    elif words[0] == "pip":
        extras = set(",".join(re.findall(r"\[([\w,]+)\]", " ".join(words))).split(",")) - {""}
        assert all(f"\n{one} = [" in (ROOT / "pyproject.toml").read_text() for one in extras), words
    elif words[0] in ("pytest", "python", "streamlit", "sphinx-build"):
        files = [word for word in words if word.endswith(".py")]
        assert all((ROOT / file).is_file() or Path(file).is_file() for file in files), words
    else:
        known = {".", "python3", "pre-commit", "docker", "git", "cp", "cd", "mkdir"}
        assert words[0] in known, f"{words}: say in tests/documentation.py what this is"


def check_command(words):
    command, context = typer.main.get_command(app), None
    while True:
        context = command.make_context(words[0] if words else "", [], context, resilient_parsing=1)
        command = context.command  # what stood for one that is made when it is invoked
        if not hasattr(command, "list_commands") or not words or words[0].startswith("-"):
            break
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, f"no command `{name}`"
    context.resilient_parsing = False  # an unknown option is an error now
    command.make_parser(context).parse_args(list(words))


def run_shell(words):
    """Run one command where it is ours and ends by itself; others are checked."""
    check_shell(words)
    ours = command_in(words)
    if words[0] == "torchrun":
        starter = [sys.executable, "-m", "torch.distributed.run", "--standalone", *words[1:]]
        subprocess.run(starter, check=True, timeout=250)
    elif ours is not None:
        done = CliRunner().invoke(app, ours)
        assert done.exit_code == 0, f"{words}: {done.output}{done.exception!r}"
        if "--out" in ours:
            assert Path(ours[ours.index("--out") + 1]).exists(), words
    elif words[0] == "python" and (words[1] == "-c" or Path(words[1]).is_file()):
        subprocess.run([sys.executable, *words[1:]], check=True, timeout=250)


def furnish(folder):
    """What a reader has: photographs, class folders of their pieces, folders to work on."""
    from deconvviz.io.images import photograph

    cat, cup = photograph("cat").image, photograph("coffee").image
    cup.resize((cup.width // 2, cup.height // 2)).save(folder / "photo.jpg")
    for label, image in (("cat", cat), ("cup", cup)):
        place = folder / "pictures" / label
        place.mkdir(parents=True)
        for number in range(12):
            left, top = 30 * (number % 4), 40 * (number // 4)
            image.crop((left, top, left + 96, top + 96)).save(place / f"{number}.png")
    shutil.copytree(ROOT / "results", folder / "results")

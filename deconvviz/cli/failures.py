"""Failures as sentences: the one place that ends a command that cannot go on."""

import errno
import io
import os
import signal
import sys
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from deconvviz.errors import BusyError, DeconvvizError

REFUSED, FAILED = 2, 1
"""Exit statuses: the command is wrong, or the machine or another process prevents it."""

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and repeat the command",
    errno.EDQUOT: "your share of the disk is full; free some space and repeat the command",
    errno.EFBIG: "the file is larger than this disk or your limits allow; name another folder",
    errno.EIO: "the disk fails; name a folder on another one",
    errno.EROFS: "this disk is read-only; name another folder",
    errno.EACCES: "you have no permission; change it, or name another place",
    errno.EPERM: "you have no permission; change it, or name another place",
    errno.EISDIR: "it is a folder; name a file",
    errno.EEXIST: "there is something else of this name; name another place",
    errno.ENOTDIR: "part of this path is a file, not a folder; name another place",
    errno.ENAMETOOLONG: "the name is too long; name a shorter one",
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENOMEM: "the memory is full; close other programs, or take fewer or smaller pictures",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`)",
}
_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory", "bad allocation")


def guarded(command: Callable[[], Any]) -> None:
    """Run a command; each failure is one sentence on stderr and an exit status.

    A wrong command ends with status 2, a failure of the machine with 1, Ctrl-C with 130 and
    SIGTERM with 143. Any other exception is a bug, and shows its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal may know ASCII alone
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        command()
    except DeconvvizError as error:
        _end(str(error), FAILED if isinstance(error, BusyError) else REFUSED)
    except BrokenPipeError:
        os._exit(0)  # `deconvviz evaluate demo | head`: the reader has closed
    except OSError as error:
        _end(_of_the_system(error), FAILED)
    except MemoryError:
        _end(_ADVICE[errno.ENOMEM], FAILED)
    except ImportError as error:
        reason = textwrap.shorten(str(error), 200)
        _end(f"a library does not load ({reason}); install deconvviz again", FAILED)
    except RuntimeError as error:
        if not any(words in str(error) for words in _NO_MEMORY):
            raise
        _end(_ADVICE[errno.ENOMEM], FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _of_the_system(error: OSError) -> str:
    reason = (error.strerror or str(error)).strip().partition("\n")[0]
    name = str(error.filename or "")
    place = f"{name if len(name) <= 200 else name[:100] + '…' + name[-50:]}: " if name else ""
    advice = _ADVICE.get(error.errno or 0)
    return f"{place}{advice} ({reason})" if advice else f"{place}{reason}"


def _end(sentence: str, status: int) -> NoReturn:
    typer.echo(f"deconvviz: {sentence}", err=True)
    sys.exit(status)


def _terminate(*_: object) -> NoReturn:
    """End as Ctrl-C does, so that temporary files are removed."""
    sys.exit(128 + signal.SIGTERM)

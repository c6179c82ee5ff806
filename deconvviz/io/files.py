"""Files that are written whole or not at all, and folders that one process writes at a time."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pydantic_core import from_json

from deconvviz.errors import BusyError

try:
    import fcntl
except ImportError:  # Windows has no locks of this kind: nothing is locked there
    fcntl = None  # type: ignore[assignment]

_TEMPORARY = ".deconvviz-"
_LOCK = ".writer"
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # some network folders
_cleared: set[Path] = set()  # folders that this process has cleared of temporary files


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends without an error.

    The folder is made where it is missing, and temporary files that killed processes left in it
    are removed.

    Raises:
        OSError: It cannot be written, or `path` is something else than a file.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():  # replacing a device or a pipe would remove it
        raise FileExistsError(errno.EEXIST, "it is not an ordinary file", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _clear(path.parent)
    with _named(path):
        file, temporary = _new_temporary(path.parent)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                temporary.replace(path)  # before the file is closed, which ends its lock
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write bytes, or text as UTF-8, to `path`, so that nobody ever reads half a file."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def append_line(path: Path, text: str) -> None:
    """Add a line of JSON to a file, on the disk when this returns; processes may do so at once.

    A last line without an end is removed if a kill cut it, and ended if it is whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _named(path), path.open("ab+", buffering=0) as file:
        _lock(file, wait=True)
        file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
        gap = ""
        if file.read(1) not in (b"", b"\n"):
            file.seek(0)
            *before, last = file.read().split(b"\n")
            if is_json(last):
                gap = "\n"
            else:
                file.truncate(sum(len(line) + 1 for line in before))
        content = f"{gap}{text}\n".encode()
        if file.write(content) < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        os.fsync(file.fileno())


def is_json(text: bytes) -> bool:
    """Whether a text is one whole JSON value."""
    try:
        from_json(text)
    except ValueError:
        return False
    return True


@contextmanager
def only_writer(folder: Path, name: str = "") -> Iterator[None]:
    """Keep other processes from writing to a folder, which is made where it is missing.

    The lock is the kernel's: it ends with the process, however that ends.

    Args:
        folder: The folder.
        name: Name of the part of it that is locked; else all of it.

    Raises:
        BusyError: Another process writes there; the message names it.
    """
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (f".{name}{_LOCK}" if name else _LOCK)
    with _named(path):
        file = _locked(path)
    if file is None:
        place = f"{name} in {folder}" if name else str(folder)
        raise BusyError(
            f"{_holder(path)} is writing {place}; wait until it ends, or name another folder"
        )
    with file:
        since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        file.truncate(0)
        file.write(f"process {os.getpid()}, started {since},".encode())
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()  # before the file is closed, which ends the lock
                for one in made:  # nothing was written there
                    one.rmdir()


def _locked(path: Path) -> BinaryIO | None:
    """The open and locked file of a lock; None if another process holds it."""
    while True:
        file = path.open("ab+", buffering=0)
        if _lock(file) is False:
            file.close()
            return None
        if _is_there(file, path):
            return file
        file.close()  # its holder removed it between our opening and our lock


def _holder(path: Path) -> str:
    """The process that holds a lock, and when it started, as it wrote them."""
    with suppress(OSError):
        text = path.read_text("utf-8", errors="replace")
        if text.startswith("process ") and text.isprintable() and len(text) < 80:
            return text
    return "another process"


def _lock(file: BinaryIO, *, wait: bool = False) -> bool | None:
    """Lock an open file; False if another process holds it, None if there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return None
    return True


def _is_there(file: BinaryIO, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False


def _new_temporary(folder: Path) -> tuple[BinaryIO, Path]:
    """A new file, locked as long as its process writes it."""
    while True:
        path = folder / f"{_TEMPORARY}{secrets.token_hex(8)}"
        file = path.open("xb")  # with the permissions that the umask leaves
        _lock(file, wait=True)
        if _is_there(file, path):
            return file, path
        file.close()  # another process cleared it between our opening and our lock


def _clear(folder: Path) -> None:
    """Remove the temporary files of processes that are gone, once for each folder."""
    if folder in _cleared or fcntl is None:
        return
    _cleared.add(folder)
    for path in folder.glob(f"{_TEMPORARY}*"):
        with suppress(OSError), path.open("rb+") as file:
            if _lock(file):
                path.unlink()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name `path` in errors of the system that name no file, as those of a write."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise

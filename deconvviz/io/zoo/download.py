"""One file from a server, whole or not at all."""

import errno
import hashlib
import re
import shutil
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from deconvviz.errors import CheckpointError
from deconvviz.io.files import atomic_file
from deconvviz.progress import Progress

_SECONDS = 30  # without a byte
_BLOCK = 1 << 20
_DIGEST = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")  # as torch.hub names its files


def download(url: str, path: Path, what: str, progress: Progress) -> None:
    """Download a file, unless something goes wrong: then nothing is left behind.

    Args:
        url: Where it is.
        path: Where it shall be. A name as torch.hub gives them ends with the first digits of the
            content's SHA-256, which are compared.
        what: What it is, for messages.
        progress: Called with the bytes that have come and those of all.

    Raises:
        CheckpointError: There is no connection, no such file, no room, or other content.
    """
    try:
        with urlopen(url, timeout=_SECONDS) as answer, atomic_file(path) as file:  # noqa: S310  a library's own address
            _copy(answer, file, path, what, progress)
    except HTTPError as error:
        error.close()
        raise _failed(what, f"their server answered {error.code}") from error
    except (URLError, ConnectionError, TimeoutError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        text = str(getattr(reason, "strerror", None) or reason) or type(reason).__name__
        raise _failed(what, f"no connection to their server ({text})") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _failed(what, "the disk is full") from error
        raise _failed(what, f"they cannot be stored ({error.strerror or error})") from error


def _copy(answer: HTTPResponse, file: BinaryIO, path: Path, what: str, progress: Progress) -> None:
    total = int(answer.headers.get("Content-Length") or 0)
    free = shutil.disk_usage(path.parent).free
    if total > free:
        raise _failed(
            what, f"they take {total / 1e6:.0f} MB, and {free / 1e6:.0f} MB of the disk are free"
        )
    digest, done = hashlib.sha256(), 0
    while block := answer.read(_BLOCK):
        file.write(block)
        digest.update(block)
        done += len(block)
        if total:
            progress("Downloading", min(done, total), total)
    expected = _DIGEST.search(path.name)
    if done < total or (expected and not digest.hexdigest().startswith(expected[1])):
        raise _failed(what, "what came is cut off or damaged")


def _failed(what: str, why: str) -> CheckpointError:
    return CheckpointError(f"cannot download {what}: {why}; try again later")

"""Uploads of sessions: bounded, also those that are sent past the page; see `memory`."""

import inspect
import logging
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakSet

import streamlit as st
from starlette.exceptions import HTTPException
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from deconvviz.io.images import safe_name
from deconvviz.ui.memory import (
    MB,
    PENDING_BYTES,
    PENDING_FILES,
    PENDING_SESSION_BYTES,
    SESSION_BYTES,
    UPLOADS,
    size_of,
)

_LOG = logging.getLogger(__name__)
_REFUSED_NAMES = 8  # of refused files that a page tells

Value = TypeVar("Value")


class Uploads(Mapping[str, Value]):
    """What one session uploaded, by name, the oldest first.

    A mapping that other sessions may shorten at any time: take a `dict` of it to work with.
    """

    def __init__(self, most: int = UPLOADS) -> None:
        self._most = most
        self._held: dict[str, tuple[Value, int]] = {}  # replaced as a whole, never changed
        self._lost: list[str] = []
        self._seen = time.monotonic()
        with _changing:
            _everyone.add(self)

    __hash__ = object.__hash__
    __eq__ = object.__eq__

    @classmethod
    def of_session(cls, name: str, most: int = UPLOADS) -> "Uploads[Any]":
        """Those of the current session under a name in its state."""
        if name not in st.session_state:
            st.session_state[name] = cls(most)
        uploads: Uploads[Any] = st.session_state[name]
        uploads._seen = time.monotonic()
        return uploads

    def __getitem__(self, name: str) -> Value:
        """The value of a name."""
        return self._held[name][0]

    def __iter__(self) -> Iterator[str]:
        """The names, the oldest first."""
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    @property
    def bytes(self) -> int:
        """Bytes of all values."""
        return sum(size for _, size in self._held.values())

    def add(self, name: str, value: Value) -> list[str]:
        """Keep a value; the oldest of this session go, then those of sessions long unseen.

        Returns:
            Names of this session that made room.
        """
        size, gone = size_of(value), list[str]()
        with _changing:
            self._seen = time.monotonic()
            self._held = {**self._held, name: (value, size)}
            while len(self._held) > self._most:
                gone += self._drop_oldest()
            everyone = [one for one in _everyone if one._held]
            while sum(one.bytes for one in everyone) > SESSION_BYTES:
                last = min((one for one in everyone if one._held), key=lambda one: one._seen)
                last._lost = [*last._lost, *last._drop_oldest()][-_REFUSED_NAMES:]
        return gone

    def remove(self, name: str) -> None:
        """Drop a value, if it is still there."""
        with _changing:
            self._held = {other: held for other, held in self._held.items() if other != name}

    def lost(self) -> list[str]:
        """Names that were dropped because of other sessions; each is returned once."""
        lost, self._lost = self._lost, []
        return lost

    def _drop_oldest(self) -> list[str]:
        oldest = next(iter(self._held), None)
        self._held = {name: held for name, held in self._held.items() if name != oldest}
        return [] if oldest is None else [oldest]


_everyone: WeakSet[Uploads[Any]] = WeakSet()
_changing = Lock()


class _Limit:
    """Streamlit's store of uploaded files with a limit on what it takes."""

    def __init__(self, manager: Any) -> None:
        self._manager, self._add = manager, manager.add_file
        self._refused: dict[str, list[str]] = {}
        self._lock = Lock()

    def add_file(self, session_id: str, file: Any) -> None:
        """Take a file, or answer its request with "content too large"."""
        with self._lock:
            stored = self._stored()
            own = stored.pop(session_id, {})
            own[file.file_id] = len(file.data)
            others = sum(sum(sizes.values()) for sizes in stored.values())
            for gone in [one for one in stored if not _is_active(one)]:
                if others + sum(own.values()) > PENDING_BYTES:
                    self._manager.remove_session_files(gone)
                    others -= sum(stored[gone].values())
            if (
                len(own) > PENDING_FILES
                or sum(own.values()) > PENDING_SESSION_BYTES
                or others + sum(own.values()) > PENDING_BYTES
            ):
                self._note(session_id, file.name)
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too many uploads at once")
            self._add(session_id, file)

    def refused(self, session_id: str) -> list[str]:
        """Names of files that were refused; each is returned once."""
        with self._lock:
            return self._refused.pop(session_id, [])

    def _note(self, session_id: str, name: str) -> None:
        names = self._refused.pop(session_id, [])
        self._refused[session_id] = [*names, safe_name(name, "a file")][-_REFUSED_NAMES:]
        while len(self._refused) > PENDING_FILES:
            del self._refused[next(iter(self._refused))]

    def _stored(self) -> dict[str, dict[str, int]]:
        """Session -> file -> bytes."""
        return {
            session: {name: len(one.data) for name, one in list(files.items())}
            for session, files in list(self._manager.file_storage.items())
        }


def _is_active(session_id: str) -> bool:
    return runtime.exists() and runtime.get_instance().is_active_session(session_id)


_limits: dict[int, _Limit | None] = {}  # one for each server of this process
_installing = Lock()


def limit_uploads() -> None:
    """Bound what the server's sessions upload, once; call it at the start of the app.

    Where Streamlit's store is another than the one that this was written for, the log says so in
    one sentence, and a proxy has to bound uploads; see docs/security.md.
    """
    if not runtime.exists():  # a test of a page has no server
        return
    manager: Any = runtime.get_instance().uploaded_file_mgr
    with _installing:
        if id(manager) in _limits:
            return
        _limits[id(manager)] = limited(manager)


def limited(manager: Any) -> _Limit | None:
    """Put a limit on a store of uploaded files; None, and a line in the log, if it is unknown."""
    if not _fits(manager):
        _LOG.warning(
            "Streamlit %s stores uploads in another way than expected, so that they are not "
            "bounded for each session; bound them in a proxy, as docs/security.md says",
            st.__version__,
        )
        return None
    limit = _Limit(manager)
    manager.add_file = limit.add_file
    return limit


def _fits(manager: Any) -> bool:
    """Whether a store has all that the limit relies on, with the same arguments."""
    try:
        return (
            list(inspect.signature(manager.add_file).parameters) == ["session_id", "file"]
            and list(inspect.signature(manager.remove_session_files).parameters) == ["session_id"]
            and isinstance(manager.file_storage, dict)
        )
    except (AttributeError, TypeError, ValueError):
        return False


def free(file: Any) -> None:
    """Free the bytes of an uploaded file that a page has read."""
    context = get_script_run_ctx()
    remove = getattr(context.uploaded_file_mgr, "remove_file", None) if context else None
    if context and remove:
        remove(session_id=context.session_id, file_id=file.file_id)


def refused_uploads() -> list[str]:
    """One sentence for each file of this session that the server did not take."""
    context = get_script_run_ctx()
    limit = _limits.get(id(context.uploaded_file_mgr)) if context else None
    names = limit.refused(context.session_id) if context and limit else []
    return [
        f"{name} was not taken: at most {PENDING_FILES} files and {PENDING_SESSION_BYTES // MB} MB "
        "are uploaded at a time; add fewer."
        for name in names
    ]

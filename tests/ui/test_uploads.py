"""Uploads are bounded: on the page, past the page, in one session and in all together."""

import asyncio
import gc
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from PIL import Image
from starlette.applications import Starlette
from streamlit import config, runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec
from streamlit.web.server.starlette.starlette_routes import create_upload_routes

from deconvviz.ui import uploads
from deconvviz.ui.memory import MB, PENDING_FILES
from deconvviz.ui.uploads import Uploads, limited

KB = 2**10  # the same proportions as in megabytes, in less time
OF_SESSION, OF_ALL = 64 * KB, 256 * KB
SERVER = SimpleNamespace(is_active_session=lambda session: session != "gone")


class Endpoint:
    """Streamlit's own upload endpoint over its own store, without a network."""

    def __init__(self):
        self.store = MemoryUploadedFileManager("/_stcore/upload_file")
        self.app = Starlette(routes=create_upload_routes(SERVER, self.store, None))

    def put(self, session, file, size, name="a.png"):
        """The status of a PUT of `size` bytes, as a browser sends a file."""
        head = (
            f'--edge\r\ncontent-disposition: form-data; name="f"; filename="{name}"\r\n'
            "content-type: image/png\r\n\r\n"
        )
        body = head.encode() + bytes(size) + b"\r\n--edge--\r\n"
        request = self._request("PUT", f"/_stcore/upload_file/{session}/{file}", body)
        with ThreadPoolExecutor(1) as thread:  # Playwright leaves a loop running in this one
            return thread.submit(asyncio.run, request).result()

    async def _request(self, method, path, body):
        answers = []
        headers = [(b"content-type", b"multipart/form-data; boundary=edge")]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [*headers, (b"content-length", str(len(body)).encode())],
        }

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            answers.append(message)

        await self.app(scope, receive, send)
        return answers[0]["status"]

    @property
    def held(self):
        files = [file for files in self.store.file_storage.values() for file in files.values()]
        return len(files), sum(len(file.data) for file in files)


@pytest.fixture
def endpoint(monkeypatch):
    before = config.get_option("server.enableXsrfProtection")
    config.set_option("server.enableXsrfProtection", False)
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SERVER)
    monkeypatch.setattr(uploads, "PENDING_SESSION_BYTES", OF_SESSION)
    monkeypatch.setattr(uploads, "PENDING_BYTES", OF_ALL)
    yield Endpoint()
    config.set_option("server.enableXsrfProtection", before)


def test_sixty_direct_uploads_of_one_session_hold_no_more_than_its_share(endpoint):
    size = 20 * KB
    assert endpoint.put("one", "x", size) == 204  # Streamlit itself has no limit
    endpoint.store.remove_session_files("one")
    limit = limited(endpoint.store)
    answers = [endpoint.put("one", str(turn), size, f"p{turn}.png") for turn in range(60)]
    taken = OF_SESSION // size
    assert answers == [204] * taken + [413] * (60 - taken)
    assert endpoint.held == (taken, taken * size)
    assert limit.refused("one")[-1] == "p59.png"
    assert limit.refused("one") == []


def test_small_files_are_bounded_by_their_number(endpoint):
    limited(endpoint.store)
    answers = [endpoint.put("one", str(turn), 10) for turn in range(200)]
    assert answers == [204] * PENDING_FILES + [413] * (200 - PENDING_FILES)


def test_a_file_that_is_sent_again_takes_the_place_of_the_first(endpoint):
    limited(endpoint.store)
    for _ in range(9):
        assert endpoint.put("one", "same", 19 * KB) == 204
    assert endpoint.held == (1, 19 * KB)


def test_many_sessions_together_are_bounded_and_one_that_is_read_makes_room(endpoint):
    limited(endpoint.store)
    size, answers = 15 * KB, []
    for session in range(20):
        answers += [endpoint.put(str(session), str(turn), size) for turn in range(4)]
    assert endpoint.held[1] <= OF_ALL
    assert answers.count(204) == OF_ALL // size
    endpoint.store.remove_file("0", "0")
    assert endpoint.put("19", "0", size) == 204


def test_files_of_sessions_that_are_gone_make_room_first(endpoint):
    limited(endpoint.store)
    for turn in range(4):
        endpoint.store.add_file("gone", UploadedFileRec(str(turn), "a", "b", bytes(16 * KB)))
    for session in range(4):
        for turn in range(4):
            assert endpoint.put(str(session), str(turn), 15 * KB) == 204
    assert "gone" not in endpoint.store.file_storage


def test_hostile_names_are_told_inert_and_in_a_bounded_number(endpoint):
    limit = limited(endpoint.store)
    for session in range(50):
        for turn in range(PENDING_FILES + 30):
            endpoint.put(str(session), str(turn), 1, "../<b>x</b>" + "y" * 500)
    assert len(limit._refused) <= PENDING_FILES
    reply = limit.refused("49")
    assert 0 < len(reply) <= 8
    assert all("<" not in name and "/" not in name and len(name) < 100 for name in reply)


def add(session_id, file):
    pass


def renamed(session, data, name):
    pass


def remove(session_id):
    pass


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"add_file": add, "remove_session_files": print, "file_storage": {}},
        {"add_file": renamed, "remove_session_files": remove, "file_storage": {}},
        {"add_file": add, "remove_session_files": remove, "file_storage": []},
        {"add_file": add, "remove_session_files": remove},
    ],
)
def test_another_store_than_the_known_one_is_left_alone_with_one_line_in_the_log(members, caplog):
    store = SimpleNamespace(**members)
    with caplog.at_level(logging.WARNING):
        assert limited(store) is None
    assert vars(store) == members
    (line,) = caplog.messages
    assert "docs/security.md" in line


def test_the_limit_is_put_once_on_the_servers_own_store(endpoint, monkeypatch):
    server = SimpleNamespace(uploaded_file_mgr=endpoint.store)
    monkeypatch.setattr(runtime, "get_instance", lambda: server)
    monkeypatch.setattr(uploads, "_limits", {})
    uploads.limit_uploads()
    first = endpoint.store.add_file
    uploads.limit_uploads()
    assert endpoint.store.add_file == first
    assert first.__self__ is uploads._limits[id(endpoint.store)]


@pytest.fixture
def megabytes(monkeypatch):
    """Room for ten megabytes of all sessions, with none of other tests in it."""
    gc.collect()
    monkeypatch.setattr(uploads, "_everyone", set())
    monkeypatch.setattr(uploads, "SESSION_BYTES", 10 * MB)


def test_a_session_keeps_its_latest(megabytes):
    mine = Uploads(3)
    gone = [mine.add(str(turn), turn) for turn in range(5)]
    assert dict(mine) == {"2": 2, "3": 3, "4": 4}
    assert gone == [[], [], [], ["0"], ["1"]]
    mine.remove("3")
    mine.remove("nothing")
    assert dict(mine) == {"2": 2, "4": 4}
    assert mine.lost() == []  # its own doing


def test_all_sessions_together_are_bounded_and_the_longest_unseen_loses_first(megabytes):
    sessions = [Uploads(8) for _ in range(5)]
    for turn in range(2):
        for place, session in enumerate(sessions):
            session.add(f"{place}-{turn}", bytes(2 * MB - 1000))
    assert sum(session.bytes for session in sessions) <= 10 * MB
    assert [list(session) for session in sessions] == [[f"{place}-1"] for place in range(5)]
    assert sessions[0].lost() == ["0-0"]
    assert sessions[0].lost() == []
    picture = Image.new("RGB", (1400, 1400))  # 7.8 MB
    sessions[2].add("large", picture)
    assert sessions[2]["large"] is picture
    assert sum(session.bytes for session in sessions) <= 10 * MB
    assert [len(session) for session in sessions] == [0, 0, 2, 0, 0] or len(sessions[2]) == 1


def test_what_a_session_held_goes_with_it(monkeypatch):
    mine = Uploads()
    mine.add("a", bytes(100))
    assert mine in uploads._everyone
    before = len(uploads._everyone)
    del mine
    gc.collect()
    assert len(uploads._everyone) < before


def test_a_session_may_be_shortened_while_it_is_read(megabytes):
    mine, other = Uploads(8), Uploads(8)
    for turn in range(4):
        mine.add(str(turn), bytes(2 * MB))
    seen = []
    for name in dict(mine):
        other.add(name, bytes(2 * MB))
        seen.append(name)
    assert seen == list("0123")
    assert len(mine) < 4

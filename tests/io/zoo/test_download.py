"""Downloads from a server of this test, on 127.0.0.1, in place of a library's."""

import errno
import hashlib
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deconvviz.errors import CheckpointError
from deconvviz.io.zoo.download import download

CONTENT = bytes(range(256)) * 12_000  # 3 MB
DIGEST = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture
def server():
    """Its address; the path says what it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if "missing" in self.path:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2] if "cut" in self.path else CONTENT)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def nothing(*_):
    pass


def test_a_file_arrives_whole_and_tells_how_far_it_is(server, tmp_path):
    path, steps = tmp_path / "made" / f"net-{DIGEST}.pth", []
    download(f"{server}/x", path, "it", lambda *step: steps.append(step))
    assert path.read_bytes() == CONTENT
    assert steps[-1] == ("Downloading", len(CONTENT), len(CONTENT))
    done = [one for _, one, _ in steps]
    assert len(done) >= 3
    assert done == sorted(done)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("where", "name", "message"),
    [
        ("missing", "net.pth", "their server answered 404"),
        ("cut", "net.pth", "cut off or damaged"),
        ("x", "net-00000000.pth", "cut off or damaged"),
        ("gone", "net.pth", r"no connection to their server \(Connection refused\)"),
    ],
)
def test_what_fails_is_one_sentence_and_leaves_nothing(server, tmp_path, where, name, message):
    url = "http://127.0.0.1:9/x" if where == "gone" else f"{server}/{where}"
    with pytest.raises(CheckpointError, match=f"^cannot download the weights of it: .*{message}"):
        download(url, tmp_path / name, "the weights of it", nothing)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_before_and_during_a_download(server, tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="the disk is full"):
        download(f"{server}/x", tmp_path / "net.pth", "it", full)
    little = shutil._ntuple_diskusage(10**9, 10**9, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(CheckpointError, match="they take 3 MB, and 1 MB of the disk are free"):
        download(f"{server}/x", tmp_path / "net.pth", "it", nothing)
    assert list(tmp_path.iterdir()) == []


def test_whoever_ends_it_leaves_nothing(server, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{server}/x", tmp_path / "net.pth", "it", stop)
    assert list(tmp_path.iterdir()) == []

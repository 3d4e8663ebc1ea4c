"""Servers that send too much, too little, nothing, or something for the terminal; and what lies where it would go."""

import gzip
import http.server
import os
import resource
import threading
import time

import pytest
from filelock import FileLock
from fuzzing import limited

from hnca.experiments.data import DataError, Facts
from hnca.experiments.data import download as module
from hnca.experiments.data._collection import Collection, read_idx_files
from hnca.experiments.data._files import DataFile

SIZE = 3000
FILE = DataFile("images.gz", (20, 20), "https://nowhere.invalid/images.gz", SIZE, f"sha256:{0:064}", "0" * 64)
COLLECTION = Collection(Facts("own", "own", 20, (4, 5), 3), "own", "MIT", (FILE,), ("own",), read_idx_files)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        getattr(self, self.server.manner)()

    def endless(self):
        self.head()
        with_end = time.monotonic() + 100
        while time.monotonic() < with_end:
            self.wfile.write(bytes(65536))

    def bomb(self):
        content = gzip.compress(bytes(2**26), 9)
        self.head(("Content-Encoding", "gzip"), ("Content-Length", str(len(content))))
        self.wfile.write(content)

    def bomb_in_the_file(self):
        self.head()
        self.wfile.write(gzip.compress(bytes(2**20))[:SIZE])

    def silent(self):
        time.sleep(100)

    def drop_by_drop(self):
        self.head()
        for _ in range(1000):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def words(self):
        self.send_error(500, "\x1b[31mred\x07\x9b")

    def head(self, *lines):
        self.send_response(200)
        for line in lines:
            self.send_header(*line)
        self.end_headers()

    def handle(self):
        try:
            super().handle()
        except OSError:  # whoever asked has had enough
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def get(tmp_path, monkeypatch):
    """Asks a server of some manner for the file, and returns what is told, the last line being the error."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(module, "_SILENCE", 1.0)
    monkeypatch.setattr(module, "_ATTEMPTS", 2)

    def get(manner):
        server.manner = manner
        told = []
        with limited(), pytest.raises(DataError) as error:
            module.download(COLLECTION, tmp_path, f"http://127.0.0.1:{server.server_address[1]}", told.append)
        told.append(str(error.value))
        assert all(line.isprintable() for line in told)
        return told

    yield get
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("manner", "problem"),
    [
        ("endless", "whose digest is not the expected one"),
        ("bomb", "whose digest is not the expected one"),
        ("bomb_in_the_file", "cannot be downloaded"),
        ("silent", "nothing came for 1.0 s"),
        ("drop_by_drop", r"bytes came in \d+ s"),
        ("words", "500 Server Error: \\?\\[31mred"),
    ],
)
def test_a_server_that_means_harm(manner, problem, get, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.monotonic()
    *_, error = get(manner)
    with pytest.raises(DataError, match=problem):
        raise DataError(error)
    assert time.monotonic() - begun < 60
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert sum(path.stat().st_size for path in (tmp_path / "own").iterdir()) < 2**18


def test_a_link_in_place_of_a_part_is_not_followed(get, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "target").write_bytes(b"another's")
    part = tmp_path / "own" / "images.gz.part"
    part.symlink_to(tmp_path / "target")
    assert "is a link; expected a regular file" in get("endless")[-1]
    part.unlink()
    os.mkfifo(part)
    assert "expected a regular file" in get("endless")[-1]
    assert (tmp_path / "target").read_bytes() == b"another's"


def test_a_lock_that_another_holds_is_told(get, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_PATIENCE", 0.3)
    (tmp_path / "own").mkdir()
    with FileLock(tmp_path / "own" / ".lock"):
        first, last = get("words")
    assert "another process is downloading into it; waiting" in first
    assert "another process has been downloading into it for over 0.3 s" in last

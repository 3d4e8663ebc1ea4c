"""Data sets beside MNIST: where they are looked for, and how they are downloaded."""

import gzip
import hashlib
import http.server
import struct
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hnca.experiments.commands.main import main
from hnca.experiments.data import DataError, Facts, load_dataset
from hnca.experiments.data import _collection as collection_module
from hnca.experiments.data._collection import Collection, read_idx_files
from hnca.experiments.data._files import DataFile
from hnca.experiments.data.catalogue import CATALOGUE
from hnca.experiments.data.download import download
from hnca.experiments.data.omniglot import read_omniglot

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SHAPES = {
    "train-images-idx3-ubyte.gz": (300, 6, 5),
    "train-labels-idx1-ubyte.gz": (300,),
    "t10k-images-idx3-ubyte.gz": (14, 6, 5),
    "t10k-labels-idx1-ubyte.gz": (14,),
}


def packed(name):
    shape = SHAPES[name]
    seed = sorted(SHAPES).index(name)
    values = np.random.default_rng(seed).integers(0, 256 if len(shape) > 1 else 3, shape, dtype=np.uint8)
    raw = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values.tobytes()
    return gzip.compress(raw, mtime=0), hashlib.sha256(raw).hexdigest(), values


@pytest.fixture
def clothes(monkeypatch, tmp_path):
    """A tiny data set in place of Fashion-MNIST, and nothing on this machine but an empty cache."""
    files = []
    for name, shape in SHAPES.items():
        content, digest, _ = packed(name)
        published = f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"
        files.append(DataFile(name, shape, f"https://nowhere.invalid/{name}", len(content), published, digest))
    monkeypatch.setattr(collection_module, "_SHAPES", SHAPES)
    facts = Facts("fashion-mnist", "fashion-mnist", 300, (6, 5), 3)
    clothes = Collection(facts, "clothes", "MIT", tuple(files), ("fashion-mnist", "FashionMNIST/raw"), read_idx_files)
    monkeypatch.setitem(CATALOGUE, "fashion-mnist", clothes)
    monkeypatch.setattr("hnca.experiments.data.places._SYSTEM", tmp_path / "system")
    monkeypatch.setattr("hnca.experiments.data.places.user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("HNCA_DATA", raising=False)
    return clothes


class Server(http.server.ThreadingHTTPServer):
    """Serves the files under `/fashion-mnist/`, as well or as badly as `manner` says."""

    daemon_threads = True
    manner = "well"
    requests: list


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        content = packed(name)[0]
        asked = self.headers.get("Range")
        self.server.requests.append((name, asked))
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.manner != "no ranges" else 0
        if self.server.manner == "nothing":
            self.send_error(404)
            return
        if self.server.manner == "damaged":
            content = content[:-3] + b"xyz"
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        end = start + 2500 if self.server.manner == "cut off" else len(content)
        self.wfile.write(content[start:end])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(server):
    return f"http://127.0.0.1:{server.server_address[1]}/"


def put(folder):
    folder.mkdir(parents=True)
    for name in SHAPES:
        (folder / name).write_bytes(packed(name)[0])
    return folder


@pytest.mark.usefixtures("clothes")
class TestPlaces:
    @pytest.mark.parametrize("place", ["chosen", "variable", "cache", "system"])
    def test_it_is_found_in_each_of_them(self, place, tmp_path, monkeypatch):
        roots = {"cache": tmp_path / "cache" / "hnca" / "data"}
        root = roots.get(place, tmp_path / place)
        put(root / "fashion-mnist")
        if place == "variable":
            monkeypatch.setenv("HNCA_DATA", str(root))
        data = load_dataset("fashion-mnist", root if place == "chosen" else None)
        for found, name in zip(data, SHAPES, strict=True):
            np.testing.assert_array_equal(found, packed(name)[2])

    def test_as_torchvision_leaves_it(self, tmp_path):
        put(tmp_path / "FashionMNIST" / "raw")
        assert load_dataset("fashion-mnist", tmp_path).train_images.shape == (300, 6, 5)

    def test_where_it_was_looked_for_is_said(self, tmp_path):
        with pytest.raises(DataError, match=r"not in .*chosen/fashion-mnist, .*cache/.*hnca data get fashion-mnist"):
            load_dataset("fashion-mnist", tmp_path / "chosen")

    def test_a_damaged_file_is_named(self, tmp_path):
        name = "t10k-labels-idx1-ubyte.gz"
        (put(tmp_path / "fashion-mnist") / name).write_bytes(packed("train-labels-idx1-ubyte.gz")[0])
        with pytest.raises(DataError, match=rf"{name}: \d+ bytes of sha256:\w+; expected sha256:\w+: the file is dam"):
            load_dataset("fashion-mnist", tmp_path)

    def test_a_run_without_its_images_leaves_nothing_behind(self, tmp_path, capsys):
        with pytest.raises(SystemExit) as end:
            main(["vae", "--layers", "1", "--dataset", "fashion-mnist", "--out", str(tmp_path / "runs")])
        assert end.value.code == 2
        assert "hnca: fashion-mnist: not in" in capsys.readouterr().err
        assert not list((tmp_path / "runs").rglob("*.json*"))

    def test_what_it_does_is_told_to_who_asks_for_something_else(self, capsys):
        with pytest.raises(SystemExit):
            main(["data", "fetch"])
        assert capsys.readouterr().err == "hnca: fetch: expected one of list, get, check\n"

    def test_names_that_are_not_known(self):
        with pytest.raises(DataError, match="cifar: no such data set; expected mnist, fashion-mnist, kmnist, omniglot"):
            load_dataset("cifar")


def get(clothes, server, root):
    told = []
    folder = download(clothes, root, address(server), told.append)
    assert load_dataset("fashion-mnist", root).test_images.shape == (14, 6, 5)
    assert not list(folder.glob("*.part"))
    return [line.rpartition(": ")[2] for line in told if not line.startswith("http")]


class TestDownload:
    def test_all_files_come_and_are_left_alone_then(self, clothes, server, tmp_path):
        assert get(clothes, server, tmp_path) == ["downloaded"] * 4
        assert [asked for _, asked in server.requests] == [None] * 4
        assert get(clothes, server, tmp_path) == ["is there"] * 4
        assert len(server.requests) == 4

    def test_what_was_cut_off_goes_on(self, clothes, server, tmp_path):
        server.manner = "cut off"
        with pytest.raises(DataError, match=r"train-images.*: cannot be downloaded \(.*\); what has come is kept"):
            download(clothes, tmp_path, address(server), lambda line: None)
        part = tmp_path / "fashion-mnist" / "train-images-idx3-ubyte.gz.part"
        assert part.stat().st_size == 3 * 2500
        assert [asked for _, asked in server.requests] == [None, "bytes=2500-", "bytes=5000-"]
        server.manner = "well"
        assert get(clothes, server, tmp_path) == ["downloaded, the rest of it", *["downloaded"] * 3]
        assert server.requests[3] == ("train-images-idx3-ubyte.gz", "bytes=7500-")

    @pytest.mark.parametrize("before", [b"x" * 50, b"x" * 50_000], ids=["other", "longer"])
    @pytest.mark.parametrize("manner", ["well", "no ranges"])
    def test_a_part_that_is_no_part_of_it_is_begun_anew(self, clothes, server, tmp_path, before, manner):
        server.manner = manner
        folder = tmp_path / "fashion-mnist"
        folder.mkdir()
        (folder / "train-images-idx3-ubyte.gz.part").write_bytes(before)
        assert get(clothes, server, tmp_path) == ["downloaded"] * 4

    def test_a_part_that_is_too_long_where_no_size_is_known(self, clothes, server, tmp_path):
        unsized = replace(clothes, files=tuple(replace(file, size=None) for file in clothes.files))
        folder = tmp_path / "fashion-mnist"
        folder.mkdir()
        (folder / "train-images-idx3-ubyte.gz.part").write_bytes(b"x" * 50_000)
        assert get(unsized, server, tmp_path) == ["downloaded"] * 4

    def test_what_is_not_the_published_file_is_not_taken(self, clothes, server, tmp_path):
        server.manner = "damaged"
        with pytest.raises(DataError, match=r"cannot be downloaded \(\d+ bytes came whose digest is not the expected"):
            download(clothes, tmp_path, address(server), lambda line: None)
        assert [path.name for path in (tmp_path / "fashion-mnist").iterdir()] == [".lock"]

    def test_an_answer_that_is_an_error_is_told(self, clothes, server, tmp_path, capsys):
        server.manner = "nothing"
        with pytest.raises(SystemExit) as end:
            main(["data", "get", "fashion-mnist", "--data-dir", str(tmp_path), "--mirror", address(server)])
        error = capsys.readouterr().err
        assert end.value.code == 2
        assert error.count("\n") == 1
        assert "404" in error
        assert "kept" not in error

    def test_no_connection_is_told(self, clothes, server, tmp_path):
        there = address(server)
        server.shutdown()
        server.server_close()
        with pytest.raises(DataError, match=r"no connection"):
            download(clothes, tmp_path, there, lambda line: None)

    def test_on_the_command_line(self, clothes, server, tmp_path, capsys, monkeypatch):
        where = ["--data-dir", str(tmp_path)]
        main(["data", "list", *where])
        told = capsys.readouterr().out
        assert "not here: hnca data get fashion-mnist" in told  # unbroken
        assert len({len(line) for line in told.splitlines()}) == 1  # and nothing cut
        assert all(line.endswith(tuple("┓┃┩│┘")) for line in told.splitlines())
        main(["data", "get", "mnist", "fashion-mnist", *where, "--mirror", address(server)])
        assert capsys.readouterr().out.splitlines()[0] == "mnist: in the package"
        # Not MNIST's, whose files have other shapes than these.
        monkeypatch.setattr("hnca.experiments.commands.data.CATALOGUE", {"fashion-mnist": clothes})
        main(["data", "check", *where])
        lines = capsys.readouterr().out.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["fashion-mnist"]
        assert all("as published" in line for line in lines)
        (tmp_path / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
        with pytest.raises(SystemExit):
            main(["data", "check", "fashion-mnist", *where])
        assert "the file is damaged" in capsys.readouterr().err


@pytest.mark.skipif(not DEBIAN.exists(), reason="dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_debian_has_it():
    data = load_dataset("fashion-mnist")
    assert data.train_images.shape == (60_000, 28, 28)
    assert np.bincount(data.train_labels).tolist() == [6000] * 10


def test_published_files_are_pinned():
    for name, collection in CATALOGUE.items():
        assert collection.facts.name == name
        for file in collection.files:
            assert file.address.startswith("https://")
            algorithm, digest = file.published.split(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[algorithm]
            assert file.content is None or len(file.content) == 64


def test_omniglot_is_turned_the_right_way_round(tmp_path):
    """Columns in the file are images, column by column; values are from 0 to 1."""
    upright = np.random.default_rng(0).integers(0, 256, (3, 28, 28))
    columns = np.stack([image.flatten(order="F") for image in upright], axis=1) / 255
    alphabets = np.eye(50)[:, [4, 0, 49]]
    path = tmp_path / "chardata.mat"
    savemat(path, {"data": columns, "target": alphabets, "testdata": columns[:, :2], "testtarget": alphabets[:, :2]})
    data = read_omniglot({"chardata.mat": path.read_bytes()}, tmp_path)
    np.testing.assert_array_equal(data.train_images, upright)
    assert data.test_images.shape == (2, 28, 28)
    assert data.train_labels.tolist() == [4, 0, 49]
    with pytest.raises(DataError, match=r"chardata\.mat: cannot be understood"):
        read_omniglot({"chardata.mat": b"nonsense"}, tmp_path)

"""Every format that is read, damaged in hundreds of ways: a result, or one error of one line, and never more memory."""

import gzip
import io
import json
import os
import struct
import sys
import zipfile

import fuzzing
import jax
import numpy as np
import pytest
from fuzzing import faults
from scipy.io import savemat

import hnca
from hnca.experiments.data import DataError
from hnca.experiments.data._collection import parse_idx
from hnca.experiments.data._files import DataFile, verified_content
from hnca.experiments.data.npz import read_npz
from hnca.experiments.data.omniglot import read_omniglot
from hnca.experiments.figures.tables import final_table
from hnca.experiments.store import (
    StoredRunError,
    complete,
    progress,
    read_configuration,
    read_metrics,
    write_checkpoint,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
TRIES = 150


def images():
    numbers = np.random.default_rng(0)
    pixels = {f"{part}_images": numbers.integers(0, 256, (9, 4, 5), dtype=np.uint8) for part in ("train", "test")}
    return {**pixels, **{f"{part}_labels": np.arange(9) % 3 for part in ("train", "test")}}


def header(draw):
    """The head of a .npy file that promises something else than follows."""
    shape = draw.choice([(2**40,), (60_000, 60_000, 1000), (9, 4, 5, 1), (-1, 4, 5), (0,), (2**63, 2), (True, 4, 5)])
    dtype = draw.choice(["|u1", "<f8", "|O", "|S2147483647", "<U99999999", "|V8", "(((", ">i4"])
    text = repr({"descr": dtype, "fortran_order": draw.random() < 0.5, "shape": shape})
    if draw.random() < 0.2:
        text = draw.choice(
            ["(" * 5000, "{" * 300 + "}" * 300, "[" * 90 + "]" * 90, "{}", "1" * 9000, "\0", "-" * 9000 + "1"]
        )
    raw = text.encode().ljust(118) + b"\n"
    return (
        b"\x93NUMPY"
        + draw.choice([b"\1\0", b"\2\0", b"\3\0", b"\7\0"])
        + struct.pack("<H", len(raw))
        + raw
        + bytes(180)
    )


def npz(draw):
    stream = io.BytesIO()
    kind = draw.randrange(4)
    if kind < 2:
        (np.savez, np.savez_compressed)[kind](stream, **images())
        return fuzzing.bytes_of(stream.getvalue(), draw)
    with zipfile.ZipFile(
        stream, "w", draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
    ) as file:
        damaged = draw.choice(list(images()))
        for name, array in images().items():
            if kind == 2 and name == damaged:
                file.writestr(f"{name}.npy", header(draw))
            else:
                member = io.BytesIO()
                np.save(member, array)
                file.writestr(f"{name}.npy", member.getvalue())
    content = bytearray(stream.getvalue())
    if kind == 3:  # what the directory at the end says of the members: flags, method, sizes, and where they are
        place = content.index(b"PK\1\2")
        offset, length = draw.choice([(8, 2), (10, 2), (20, 4), (24, 4), (42, 4)])
        content[place + offset : place + offset + length] = draw.choice([b"\1\0\0\0", b"\xff" * 4, b"\0\0\0\x7f"])[
            :length
        ]
    return bytes(content)


def test_npz(tmp_path):
    path = tmp_path / "own.npz"

    def act(draw):
        path.write_bytes(npz(draw))
        read_npz(path)

    assert not faults(2 * TRIES, act, DataError)


SHAPE = (7, 5, 4)
IDX = struct.pack(">HBB3I", 0, 8, 3, *SHAPE) + bytes(range(140))


def test_idx(tmp_path):
    path = tmp_path / "images.gz"
    known = DataFile("images.gz", SHAPE, "", None, f"sha256:{0:064}", "0" * 64)

    def act(draw):
        parse_idx(path, fuzzing.bytes_of(IDX, draw), SHAPE)

    def unpack(draw):
        path.write_bytes(fuzzing.bytes_of(gzip.compress(IDX), draw))
        verified_content(path, known)

    assert not faults(TRIES, act, DataError) + faults(TRIES, unpack, DataError)


def test_mat(tmp_path):
    columns = np.random.default_rng(0).random((784, 3))
    parts = {"data": columns, "target": np.eye(50)[:, :3], "testdata": columns[:, :2], "testtarget": np.eye(50)[:, :2]}
    contents = []
    for compressed in (False, True):
        stream = io.BytesIO()
        savemat(stream, parts, do_compression=compressed)
        contents.append(stream.getvalue())

    def act(draw):
        head = draw.random() < 0.5  # where the sizes and kinds are
        content = draw.choice(contents)
        cut = 400 if head else len(content)
        read_omniglot({"chardata.mat": fuzzing.bytes_of(content[:cut], draw) + content[cut:]}, tmp_path)

    assert not faults(2 * TRIES, act, DataError)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch, and what is exported of it."""
    jax.config.update("jax_disable_most_optimizations", True)
    out = tmp_path_factory.mktemp("trained")
    np.savez(out / "own.npz", **images())
    sizes = ["--layers", "1", "--width", "3", "--epochs", "1", "--seeds", "1", "--batch-size", "7"]
    from hnca.experiments.commands.main import main

    main(["bandit", *sizes, "--estimators", "hnca", "--dataset", str(out / "own.npz"), "--out", str(out), "-q"])
    main(["export", str(out / "1-hnca"), "--out", str(out / "model.safetensors")])
    jax.config.update("jax_disable_most_optimizations", False)
    return out / "1-hnca"


def test_safetensors(trained, tmp_path):
    content = (trained.parent / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    head = json.loads(content[8 : 8 + length])
    path = tmp_path / "model.safetensors"

    def act(draw):
        kind = draw.randrange(3)
        if kind == 0:
            path.write_bytes(fuzzing.bytes_of(content, draw))
        else:
            changed = json.loads(json.dumps(head))
            if kind == 1:
                changed = fuzzing.json_of(changed, draw)
            else:
                described = json.loads(changed["__metadata__"]["hnca"])
                changed["__metadata__"]["hnca"] = fuzzing.text_of(described, draw).decode(errors="replace")
            text = json.dumps(changed).encode()
            path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
        hnca.load(path)

    assert not faults(TRIES, act, ValueError)


def put(directory, configuration=None, rows=None, checkpoint=None, of=None):
    """Writes a run like the trained one, with something else in place of one of its files."""
    directory.mkdir(exist_ok=True)
    for path in of.iterdir():
        if path.is_file():
            (directory / path.name).write_bytes(path.read_bytes())
    (name,) = (path.name for path in of.glob("checkpoint-*.eqx"))
    for file, content in ((name, checkpoint), ("config.json", configuration), ("metrics.jsonl", rows)):
        if content is not None:
            (directory / file).write_bytes(content)


def test_configurations(trained, tmp_path):
    whole = json.loads((trained / "config.json").read_bytes())

    def act(draw):
        put(tmp_path / "run", configuration=fuzzing.text_of(whole, draw), of=trained)
        read_configuration(tmp_path / "run")

    def load(draw):
        act(draw)
        hnca.load(tmp_path / "run")

    assert not faults(TRIES, act, StoredRunError) + faults(TRIES, load, (StoredRunError, ValueError))


def test_metrics(trained, tmp_path):
    row = json.loads((trained / "metrics.jsonl").read_bytes())

    def act(draw):
        put(tmp_path / "run", rows=fuzzing.text_of(row, draw) + b"\n", of=trained)
        progress(tmp_path / "run", 1)
        rows = complete(read_metrics(tmp_path / "run"), ["test_accuracy"])
        if rows:
            final_table(rows, {"test_accuracy": "accuracy"}, 4)

    assert not faults(2 * TRIES, act, StoredRunError)


def test_checkpoints(trained, tmp_path):
    """Also those that say they are whole, whatever is in them."""
    (path,) = trained.glob("checkpoint-*.eqx")
    whole = path.read_bytes()
    _, line, state = whole.split(b"\n", 2)

    def act(draw):
        if draw.random() < 0.3:
            put(tmp_path / "run", checkpoint=fuzzing.bytes_of(whole, draw), of=trained)
        elif draw.random() < 0.5:
            put(tmp_path / "run", of=trained)
            head = fuzzing.json_of(json.loads(line), draw)
            write_checkpoint(tmp_path / "run", 1, state, head if isinstance(head, dict) else {})
        else:
            put(tmp_path / "run", of=trained)
            write_checkpoint(tmp_path / "run", 1, fuzzing.bytes_of(state, draw), json.loads(line))
        hnca.load(tmp_path / "run")

    assert not faults(TRIES, act, ValueError)


@pytest.mark.parametrize("kind", ["FIFO", "folder", "link to nothing", "endless"])
def test_what_is_no_file_is_not_read(kind, trained, tmp_path):
    def put_at(path):
        path.unlink(missing_ok=True)
        if kind == "FIFO":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "endless":
            path.symlink_to("/dev/zero")
        else:
            path.symlink_to(tmp_path / "nothing")
        return path

    known = DataFile("images.gz", SHAPE, "", None, f"sha256:{0:064}", "0" * 64)
    for number, name in enumerate(("config.json", "metrics.jsonl", "checkpoint-000001.eqx")):
        put(tmp_path / str(number), of=trained)
        put_at(tmp_path / str(number) / name)
    acts = [
        lambda _: read_npz(put_at(tmp_path / "own.npz")),
        lambda _: verified_content(put_at(tmp_path / "images.gz"), known),
        lambda _: hnca.load(put_at(tmp_path / "model.safetensors")),
        *(lambda _, number=number: hnca.load(tmp_path / str(number)) for number in range(3)),
    ]
    found = [line for act in acts for line in faults(1, act, (DataError, ValueError, OSError))]
    assert not found


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "another"},
        {"estimator": "another"},
        {"estimator": "loo+baseline"},  # takes none
        {"estimator": "hnca+"},
        {"baseline": "another"},
        {"estimator": "loo", "baseline": "running mean"},
        {"train_accuracy": 1},
    ],
)
def test_rows_that_no_version_wrote_are_not_shown(change, tmp_path):
    row = {"experiment": "bandit", "estimator": "hnca", "layers": 1, "seed": 0, "epoch": 1, "train_accuracy": 0.5}
    row |= {"log_gradient_variance": -1.0, "seconds": 2.0}
    for content, count in ((row, 1), ({**row, "baseline": "none"}, 1), (row | change, 0)):
        (tmp_path / "metrics.jsonl").write_text(json.dumps(content) + "\n")
        rows = read_metrics(tmp_path)
        assert len(rows) == 1
        assert len(complete(rows, ["train_accuracy"])) == count

"""MNIST as shipped, damaged and missing; exact binarisation."""

import gzip
import shutil
from fractions import Fraction
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca.experiments.data
from hnca.experiments.data import DataError, load_mnist
from hnca.experiments.data._collection import parse_idx
from hnca.experiments.data.images import binarise, thresholds

EMBEDDED = Path(hnca.experiments.data.__file__).parent / "files" / "mnist"
LABELS = "t10k-labels-idx1-ubyte.gz"


def test_mnist_is_mnist():
    data = load_mnist()
    assert [a.shape for a in data] == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    assert all(a.dtype == np.uint8 for a in data)
    assert np.bincount(data.train_labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
    np.testing.assert_allclose(data.train_images.mean() / 255, 0.1307, atol=1e-4)


@pytest.fixture
def copy(tmp_path):
    for path in EMBEDDED.glob("*.gz"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_damaged_file_is_named(copy):
    packed = bytearray((copy / LABELS).read_bytes())
    packed[2000] ^= 1
    (copy / LABELS).write_bytes(packed)
    with pytest.raises(
        DataError, match=rf"{LABELS}: cannot be decompressed \(CRC check failed.*\): the file is damaged"
    ):
        load_mnist(copy)


def test_a_truncated_file_is_named(copy):
    (copy / LABELS).write_bytes((copy / LABELS).read_bytes()[:4000])
    with pytest.raises(DataError, match=rf"{LABELS}: cannot be decompressed .*: the file is damaged"):
        load_mnist(copy)


def test_a_missing_file_is_named(copy):
    (copy / LABELS).unlink()
    with pytest.raises(
        DataError, match=rf"{LABELS}: cannot be read \(No such file or directory\); expected a file .* sha256:ff7bcfd"
    ):
        load_mnist(copy)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"\0\0\x08\x01\0\0\0\x03" + b"12", r"10 bytes; expected an IDX file of 3 bytes of shape \(3,\)"),
        (b"\0\0\x0d\x01\0\0\0\x03" + b"123", "expected an IDX file"),
        (b"", "0 bytes; expected an IDX file"),
    ],
    ids=["short", "wrong type", "empty"],
)
def test_bytes_that_are_no_idx_file_are_refused(raw, problem):
    with pytest.raises(DataError, match=problem):
        parse_idx(Path("some.gz"), raw, (3,))


def test_another_file_of_that_name_is_refused(copy):
    with gzip.open(copy / LABELS) as file:
        raw = file.read()
    (copy / LABELS).write_bytes(gzip.compress(raw[:-1] + b"\x09"))
    with pytest.raises(DataError, match=rf"{LABELS}: \d+ bytes of sha256:\w+; expected sha256:ff7bcfd\w+: the file"):
        load_mnist(copy)
    (copy / LABELS).write_bytes(gzip.compress(raw, 1))
    assert np.array_equal(load_mnist(copy).test_labels, load_mnist().test_labels)


def test_thresholds_are_exactly_the_grey_values():
    values = np.arange(256, dtype=np.uint8)
    for value, threshold in zip(values, np.asarray(thresholds(jnp.asarray(values))), strict=True):
        assert Fraction(int(threshold), 2**32 - 1) == Fraction(int(value), 255)


def test_black_is_never_drawn_and_white_always():
    images = jnp.asarray([0, 255] * 50_000, jnp.uint8)
    assert np.array_equal(binarise(jax.random.key(0), images), np.array([0, 1] * 50_000))


def test_pixels_follow_their_grey_values():
    """A z-test for each of the 254 values between; level 1e-6 over all of them (Bonferroni)."""
    count = 4000
    images = jnp.broadcast_to(jnp.arange(1, 255, dtype=jnp.uint8), (count, 254))
    share = jnp.mean(binarise(jax.random.key(1), images), axis=0)
    p = jnp.arange(1, 255) / 255
    assert float(jnp.max(jnp.abs(share - p) / jnp.sqrt(p * (1 - p) / count))) < 6.0

"""A user's own images, in a file of NumPy's format `.npz`."""

import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hnca.experiments.data._dataset import DataError, Dataset, Facts
from hnca.experiments.files import read_array, read_whole, shown
from hnca.experiments.files.reading import LONGEST

_IMAGES = ("train_images", "test_images")
_LABELS = ("train_labels", "test_labels")
_OF_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, struct.error)
_MOST_DEFLATED = 1032
"""Bytes that one byte of what is compressed can become."""
_MOST_CLASSES = 65536
"""What is labelled by numbers beyond, such as identities or hashes, would make a bandit of more actions than memory."""


def read_npz(path: Path) -> tuple[Dataset, Facts]:
    """Returns the data set in a file, and the facts about it.

    The file has `train_images` and `test_images`, uint8 `[images, height, width]`, and may have `train_labels` and
    `test_labels`, integers `[images]` or `[images, 1]` from 0 on. Other arrays are left alone.

    Raises:
        DataError: naming the file, the array, and what was expected of it.
    """
    arrays, digest = _arrays(path)
    images = [_checked_images(path, name, arrays) for name in _IMAGES]
    if images[0].shape[1:] != images[1].shape[1:]:
        sizes = " and ".join(" by ".join(map(str, each.shape[1:])) for each in images)
        raise DataError(f"{path}: train_images and test_images are {sizes}; expected one height and width")
    labels = [_checked_labels(path, *names, arrays) for names in zip(_LABELS, _IMAGES, strict=True)]
    if (labels[0] is None) != (labels[1] is None):
        raise DataError(f"{path}: has labels of one part only; expected train_labels and test_labels, or neither")
    dataset = Dataset(images[0], labels[0], images[1], labels[1])
    classes = None if labels[0] is None or labels[1] is None else 1 + int(max(labels[0].max(), labels[1].max()))
    height, width = images[0].shape[1:]
    return dataset, Facts(path.name, f"sha256:{digest}", len(images[0]), (int(height), int(width)), classes)


def _arrays(path: Path) -> tuple[Mapping[str, np.ndarray], str]:
    try:
        content = read_whole(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); expected a .npz file") from None
    if content.startswith(b"\x93NUMPY"):
        raise DataError(f"{path}: holds one array; expected a .npz file with {' and '.join(_IMAGES)}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            there = file.namelist()
            found = {name: _member(file, f"{name}.npy") for name in (*_IMAGES, *_LABELS) if f"{name}.npy" in there}
    except (*_OF_ZIP, ValueError, OSError) as error:
        raise DataError(f"{path}: is damaged, or no .npz file of numbers ({shown(error)})") from None
    missing = [name for name in _IMAGES if name not in found]
    if missing:
        names = ", ".join(each.removesuffix(".npy") for each in there[:10]) or "nothing"
        raise DataError(f"{path}: has no {missing[0]} (found {names}); expected {' and '.join(_IMAGES)}")
    return found, hashlib.sha256(content).hexdigest()


def _member(file: zipfile.ZipFile, name: str) -> np.ndarray:
    """Returns an array of a zip file, read only if what the file says of its sizes can be.

    Raises:
        ValueError: if it cannot, or the array is no array of numbers.
    """
    said = file.getinfo(name)
    if said.flag_bits & 1:
        raise ValueError(f"{name} is encrypted")
    if said.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in a way that NumPy does not use")
    if said.file_size > min(LONGEST, _MOST_DEFLATED * said.compress_size + 64):
        raise ValueError(f"{name} has {said.compress_size} bytes, which cannot become {said.file_size}")
    content = file.read(said)
    array, end = read_array(content)
    if end != len(content):
        raise ValueError(f"{name} has {len(content) - end} bytes after its array")
    return array


def _checked_images(path: Path, name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    images = arrays[name]
    if len(images.shape) == 3 and 0 in images.shape:
        raise DataError(f"{path}: {name} of shape {images.shape} has no pixels; expected images")
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DataError(
            f"{path}: {name} is {images.dtype} of shape {images.shape}; expected uint8 of (images, height, width)"
        )
    if images.max() <= 1:
        raise DataError(f"{path}: {name} has no value above {images.max()}; expected grey values from 0 to 255")
    return images


def _checked_labels(path: Path, name: str, of: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray | None:
    if name not in arrays:
        return None
    labels, count = arrays[name], len(arrays[of])
    if labels.dtype.kind not in "iu" or labels.shape not in ((count,), (count, 1)):
        raise DataError(
            f"{path}: {name} is {labels.dtype} of shape {labels.shape}; expected {count} integers, one for each of {of}"
        )
    if not 0 <= labels.min() <= labels.max() < _MOST_CLASSES:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise DataError(f"{path}: {name} has {wrong}; expected 0, 1, ..., below {_MOST_CLASSES}")
    return labels.reshape(count)

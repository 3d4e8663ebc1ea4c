"""A data set that is known by name, and what those made like MNIST have in common."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hnca.experiments.data._dataset import DataError, Dataset, Facts
from hnca.experiments.data._files import DataFile

Reader = Callable[[Mapping[str, bytes], Path], Dataset]
"""Takes the contents of the files by their names, and the folder they are in, for messages."""


@dataclass(frozen=True)
class Collection:
    """A data set that is known by name.

    Attributes:
        facts: of it.
        title: what it is.
        licence: under which it may be used.
        files: all of them.
        folders: below a data directory, where they are looked for; they are put into the first.
        read: makes the data set from the files' contents.
        embedded: where the package has it itself, if it does.
    """

    facts: Facts
    title: str
    licence: str
    files: tuple[DataFile, ...]
    folders: tuple[str, ...]
    read: Reader
    embedded: Path | None = None


_SHAPES = {
    "train-images-idx3-ubyte.gz": (60_000, 28, 28),
    "train-labels-idx1-ubyte.gz": (60_000,),
    "t10k-images-idx3-ubyte.gz": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte.gz": (10_000,),
}


def like_mnist(address: str, known: Mapping[str, tuple[int, str, str | None]]) -> tuple[DataFile, ...]:
    """Returns the four files, given for each its size, digest as published, and digest of the content."""
    return tuple(DataFile(name, shape, f"{address}/{name}", *known[name]) for name, shape in _SHAPES.items())


def read_idx_files(contents: Mapping[str, bytes], folder: Path) -> Dataset:
    """Returns the data set in these four files.

    Raises:
        DataError: if one of them holds something else.
    """
    return Dataset(*(parse_idx(folder / name, contents[name], shape) for name, shape in _SHAPES.items()))


def parse_idx(path: Path, raw: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in the decompressed bytes of an IDX file, uint8 of this shape.

    Raises:
        DataError: if they do not hold such an array; `path` is for the message.
    """
    header = struct.pack(f">HBB{len(shape)}I", 0, 0x08, len(shape), *shape)
    size = int(np.prod(shape))
    if not raw.startswith(header) or len(raw) != len(header) + size:
        raise DataError(f"{path}: {len(raw)} bytes; expected an IDX file of {size} bytes of shape {shape}")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape)

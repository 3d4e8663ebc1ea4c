"""MNIST, shipped with the package."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from hnca.data._idx import read_idx

_EMBEDDED = Path(__file__).parent / "files" / "mnist"
_FILES: dict[str, tuple[str, tuple[int, ...]]] = {
    "train-images-idx3-ubyte.gz": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", (60_000, 28, 28)),
    "train-labels-idx1-ubyte.gz": ("d53e105ee54ea40749a09fcbcd1e9432", (60_000,)),
    "t10k-images-idx3-ubyte.gz": ("9fb629c4189551a2d022fa330f9573f3", (10_000, 28, 28)),
    "t10k-labels-idx1-ubyte.gz": ("ec29112dd5afa0611ce80d1b7f02629c", (10_000,)),
}


class Dataset(NamedTuple):
    """Labelled grey-scale images.

    Attributes:
        train_images: uint8 `[60000, 28, 28]`, 0 is background and 255 is ink.
        train_labels: uint8 `[60000]`, the digit.
        test_images: uint8 `[10000, 28, 28]`.
        test_labels: uint8 `[10000]`.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_mnist(directory: Path | str | None = None) -> Dataset:
    """Returns MNIST, every file checked against its MD5.

    Args:
        directory: where the four original IDX files are; by default the package's own.

    Raises:
        DataError: naming the file that is missing or damaged and what was expected.
    """
    folder = _EMBEDDED if directory is None else Path(directory)
    return Dataset(*(read_idx(folder / name, md5, shape) for name, (md5, shape) in _FILES.items()))

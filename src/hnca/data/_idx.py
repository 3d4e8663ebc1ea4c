"""The IDX format of the MNIST family: a magic number, the sizes as big-endian words, then the bytes."""

import struct
from pathlib import Path

import numpy as np

from hnca.data._dataset import DataError


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

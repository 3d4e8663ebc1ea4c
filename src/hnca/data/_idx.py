"""The IDX format of the MNIST family: a magic number, the sizes as big-endian words, then the bytes."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np


class DataError(ValueError):
    """A data file that is missing or damaged. Its message is one line, naming the file and what was expected."""


def read_idx(path: Path, md5: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the bytes of a gzipped IDX file, uint8 of this shape.

    Raises:
        DataError: if the file is missing, its checksum is another, or it does not hold an array of this shape.
    """
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); expected a file of MD5 {md5}") from None
    found = hashlib.md5(packed, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path}: {len(packed)} bytes of MD5 {found}; expected MD5 {md5}: the file is damaged")
    return parse_idx(path, packed, shape)


def parse_idx(path: Path, packed: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the array in the gzipped bytes; `path` is for the message of the DataError."""
    try:
        raw = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decompressed ({error}); expected a gzipped IDX file") from None
    header = struct.pack(f">HBB{len(shape)}I", 0, 0x08, len(shape), *shape)
    size = int(np.prod(shape))
    if not raw.startswith(header) or len(raw) != len(header) + size:
        raise DataError(f"{path}: {len(raw)} bytes; expected an IDX file of {size} bytes of shape {shape}")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape)

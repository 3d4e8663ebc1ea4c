"""Matrices in a file of MATLAB's format, version 5: what a data set needs of it, every size compared."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""NumPy's names of the types that numbers are stored as."""
_NUMERIC = range(6, 16)
"""Classes of arrays, from double to uint64."""


def read_mat(content: bytes, most: int) -> Mapping[str, np.ndarray]:
    """Returns the matrices of real numbers by name, in the types they are stored as; what else there is is left out.

    Args:
        content: of the file.
        most: bytes that what is compressed may have altogether.

    Raises:
        ValueError: if it is no such file, or says of its parts what they are not.

    Source: MathWorks, *MAT-File Format*, chapter 1, Level 5.
    """
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("no file of MATLAB's format, version 5")
    order = "<" if content[126:128] == b"IM" else ">"
    found = {}
    for kind, data in _elements(content[_HEADER:], order):
        if kind == _COMPRESSED:
            unpacked = _unpacked(data, most)
            most -= len(unpacked)
            ((kind, data),) = _elements(unpacked, order)
        matrix = _matrix(data, order) if kind == _MATRIX else None
        if matrix is not None:
            found[matrix[0]] = matrix[1]
    return found


def _unpacked(data: bytes, most: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, most)
    except zlib.error as error:
        raise ValueError(f"it cannot be decompressed: {error}") from None
    if not stream.eof:
        raise ValueError("what is compressed is cut short, or too long")
    return unpacked


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Yields kind and data of one element after another."""
    place = 0
    while place < len(content):
        if place + 8 > len(content):
            raise ValueError("it is cut short")
        kind, length = struct.unpack_from(f"{order}II", content, place)
        if kind >> 16:  # so short that its data are in its tag
            kind, length, begin = kind & 0xFFFF, kind >> 16, place + 4
            end = place + 8
        else:
            begin, end = place + 8, place + 8 + length + (-length % 8 if kind != _COMPRESSED else 0)
        if begin + length > len(content) or begin + length > end:
            raise ValueError(f"an element says it has {length} bytes, and there are {len(content) - begin}")
        yield kind, content[begin : begin + length]
        place = end


def _matrix(data: bytes, order: str) -> tuple[str, np.ndarray] | None:
    """Returns name and array, or None if it is none of real numbers."""
    (_, flags), (_, sizes), (_, name), *parts = (*_elements(data, order), (0, b""), (0, b""), (0, b""))
    if len(flags) != 8 or flags[0 if order == "<" else 3] not in _NUMERIC:
        return None
    kind, numbers = parts[0]
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
    text = name.decode("ascii", errors="replace")
    if (
        kind not in _NUMBERS
        or min(shape, default=0) < 0
        or prod(shape) * np.dtype(_NUMBERS[kind]).itemsize != len(numbers)
    ):
        raise ValueError(f"{text!r} has {len(numbers)} bytes of type {kind} for shape {shape}")
    return text, np.frombuffer(numbers, order + _NUMBERS[kind]).reshape(shape, order="F")

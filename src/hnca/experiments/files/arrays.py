"""An array of numbers in NumPy's format `.npy`, made only once what its header says is what is there."""

import io
import tokenize
from math import prod

import numpy as np

_LONGEST_HEADER = 4096


def read_array(content: bytes, begin: int = 0) -> tuple[np.ndarray, int]:
    """Returns an array of numbers or truth values, without copying it, and where it ends.

    Args:
        content: in which it is.
        begin: where.

    Raises:
        ValueError: if there is none, or one of something else.

    Source: NumPy Enhancement Proposal 1.
    """
    stream = io.BytesIO(content[begin : begin + _LONGEST_HEADER])
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, in_columns, dtype = reader(stream)
    except KeyError:
        raise ValueError("is no array in a version of NumPy's format that is known") from None
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError, tokenize.TokenError):
        raise ValueError("is no array in NumPy's format") from None
    if dtype.kind not in "biuf" or dtype.itemsize > 16:
        raise ValueError(f"is an array of {dtype}, not of numbers")
    if any(type(size) is not int or size < 0 for size in shape) or len(shape) > 32:
        raise ValueError(f"is an array of shape {shape}")
    start = begin + stream.tell()
    end = start + prod(shape) * dtype.itemsize
    if end > len(content):
        raise ValueError(f"is an array of shape {shape}, of which {len(content) - start} bytes are there")
    array = np.frombuffer(content, dtype, prod(shape), start) if prod(shape) else np.zeros(0, dtype)
    return array.reshape(shape, order="F" if in_columns else "C"), end

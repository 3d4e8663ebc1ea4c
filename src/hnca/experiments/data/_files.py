"""Files that are known to the byte: as their publishers have them, and what is in them."""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

from hnca.experiments.data._dataset import DataError
from hnca.experiments.files import read_whole

_HEADER = 16
"""Bytes, at most, before the numbers in an IDX file."""


@dataclass(frozen=True)
class DataFile:
    """A file of a data set.

    Attributes:
        name: of the file; one that ends in `.gz` is gzipped.
        shape: of the array in it; empty if it holds several.
        address: where its publisher has it.
        size: in bytes, as published; None if it is not known.
        published: digest of the file as published, such as `sha256:...`.
        content: SHA-256 of what is in it, decompressed; None if only the published file is known.
    """

    name: str
    shape: tuple[int, ...]
    address: str
    size: int | None
    published: str
    content: str | None


def _decompressed(packed: bytes, longest: int) -> bytes:
    """Returns what is in a gzip file, but a byte more than the longest at most, which has another digest then."""
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
        return file.read(longest + 1)


def verified_content(path: Path, file: DataFile) -> bytes:
    """Returns what is in a file, decompressed, once its digest is seen to be the expected one.

    That of the content where it is known, so that files that were compressed anew are good too.

    Raises:
        DataError: naming the file, if it cannot be read, or is damaged or another.
    """
    expected = f"sha256:{file.content}" if file.content else file.published
    try:
        packed = read_whole(path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be read ({reason}); expected a file with content of {expected}") from None
    try:
        content = _decompressed(packed, _HEADER + prod(file.shape)) if file.name.endswith(".gz") else packed
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decompressed ({error}): the file is damaged") from None
    algorithm = expected.partition(":")[0]
    found = hashlib.new(algorithm, content if file.content else packed, usedforsecurity=False).hexdigest()
    if f"{algorithm}:{found}" != expected:
        raise DataError(f"{path}: {len(packed)} bytes of {algorithm}:{found}; expected {expected}: the file is damaged")
    return content

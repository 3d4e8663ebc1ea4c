"""Files as bytes, and bytes as JSON: no device or FIFO is waited for, and none is longer than it should be."""

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

LONGEST = 2**31
"""Bytes, of a file for which nothing less is known."""
_LONGEST_SHOWN = 300


def read_whole(path: Path, longest: int = LONGEST) -> bytes:
    """Returns what is in a regular file, also one that a link leads to.

    Args:
        path: of the file.
        longest: how many bytes it may have.

    Raises:
        OSError: if it cannot be read, is no regular file, or is longer.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        if found.st_size > longest:
            raise OSError(errno.EFBIG, f"has {found.st_size} bytes, more than {longest}", str(path))
        return file.read(found.st_size)


def read_json(content: bytes) -> Any:
    """Returns what the JSON says, whose numbers are finite and whose text can be written again.

    Raises:
        ValueError: if it is none.
    """
    try:
        found = json.loads(content, parse_constant=_refuse)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return found


def shown(value: object) -> str:
    """Returns what is to be told of something that was read: one line, not too long, and fit for any terminal."""
    text = str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_LONGEST_SHOWN])


def require_regular(path: Path) -> None:
    """Raises an OSError unless a regular file is there, or a link leads to one."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON's")

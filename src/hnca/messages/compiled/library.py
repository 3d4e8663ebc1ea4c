"""The kernel as a file: it has the SHA-256 of its content in its name, which is verified before it is loaded."""

import hashlib
import os
import re
import stat
from pathlib import Path

import jax

TARGETS = tuple(
    f"hnca_{name}_{dtype}" for name in ("message", "growth_and_energy", "mean") for dtype in ("float32", "float64")
)
"""What a library has to have for XLA."""

VECTORS = "hnca_use_vectors_up_to"
"""What it has beside them: a function of a number of bytes, up to which vectors are used, that returns how many are."""

_LONGEST = 2**26
"""No kernel is as large; what is need not be read."""


class BuildError(Exception):
    """The kernel cannot be had here; the message is a sentence that says why."""


def shipped_library() -> Path | None:
    """Returns the library that came with the package, if it came with one for this jaxlib."""
    return kept_library(Path(__file__).parent, shipped_kind())


def shipped_kind() -> str:
    """Returns the kind of a library that goes with every jaxlib of this one's interface."""
    header = Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h"
    numbers = re.findall(r"#define XLA_FFI_API_M(?:AJOR|INOR) (\d+)", header.read_text())
    return f"ffi{'.'.join(numbers)}"


def kept_library(folder: Path, kind: str, private: bool = False) -> Path | None:
    """Returns a library of that kind which is whole, if there is one.

    Args:
        folder: where it is looked for.
        kind: all that it depends on.
        private: whether it has to be this user's own, and nobody else may have been able to write it.

    Raises:
        OSError: if it is there and cannot be read.
    """
    return next((path for path in libraries(folder, kind) if _is_whole(path, private)), None)


def libraries(folder: Path, kind: str) -> list[Path]:
    """Returns all that have the name of a library of that kind, whatever they are."""
    return sorted(folder.glob(f"flips-{kind}-*.so"))


def library_name(kind: str, content: bytes) -> str:
    """Returns the name under which a library is kept."""
    return f"flips-{kind}-{hashlib.sha256(content).hexdigest()}.so"


def content_of(path: Path, private: bool = False) -> bytes | None:
    """Returns what is in a file, or None if it is no regular one, too long, or, where that matters, not this user's.

    Raises:
        OSError: if it cannot be read.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST or (private and not _is_own(found)):
        return None
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        return file.read(_LONGEST)


def require_private(folder: Path) -> None:
    """Raises a BuildError if another user may have put something into the folder, which would be run."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise BuildError(f"{folder} is no folder, but a link or a file; expected a folder of this user's own")
    if not _is_own(found):
        raise BuildError(f"{folder} can be written by others; expected a folder of this user's own: chmod 700 it")


def _is_own(found: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):  # Windows, where a folder in the user's profile is the user's
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _is_whole(path: Path, private: bool) -> bool:
    content = content_of(path, private)
    return content is not None and path.name.endswith(f"-{hashlib.sha256(content).hexdigest()}.so")

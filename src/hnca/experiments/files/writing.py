"""Files that are there whole or not at all, and in place of nothing but regular files."""

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from hnca.experiments.files.reading import read_whole

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def write_atomically(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Writes a file under a temporary name, brings it to the disk, and gives it its name.

    Whoever is killed on the way leaves the file of before, if there was one, and perhaps a partial one beside it. The
    temporary name cannot be foreseen, and is nobody else's.

    Args:
        path: of the file; its directory exists.
        parts: what goes into it, one after another.

    Raises:
        OSError: if it cannot be written, or what is there is no regular file; nothing partial is left then.
    """
    _require_regular(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666)
    try:
        with open(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        # A full disk has other uses for the space.
        partial.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def opened_to_append(path: Path) -> BinaryIO:
    """Returns a file opened to be added to, which is made if it is not there; no link to another one.

    Raises:
        OSError: if it cannot be written, or is no regular file.
    """
    _require_regular(path)
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _NO_LINK, 0o666), "ab")


def require_own(path: Path, mark: bytes) -> None:
    """Raises an OSError if something is there that this tool has not written, whose files of that kind have a mark."""
    _require_regular(path)
    try:
        found = read_whole(path)
    except FileNotFoundError:
        return
    if found and mark not in found:
        raise OSError(errno.EEXIST, "was written by something else; expected --overwrite to replace it", str(path))


def remove_partial_files(directory: Path) -> None:
    """Removes what processes that were killed while they wrote have left."""
    for path in directory.glob(".*.partial"):
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)


def _require_regular(path: Path) -> None:
    """Raises an OSError if something is there that is no regular file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "a directory" if stat.S_ISDIR(found.st_mode) else "no file"
        raise OSError(errno.EINVAL, f"is {kind}; expected a regular file, or none", str(path))


def _sync_directory(directory: Path) -> None:
    """Brings the new name to the disk, where the system can."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:  # Windows opens no directories.
        return
    try:
        os.fsync(descriptor)
    except OSError:  # Some network file systems bring no directories to the disk.
        pass
    finally:
        os.close(descriptor)

"""Files that are there whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_atomically(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Writes a file under a temporary name, brings it to the disk, and gives it its name.

    Whoever is killed on the way leaves the file of before, if there was one, and perhaps a partial one beside it.

    Args:
        path: of the file; its directory exists.
        parts: what goes into it, one after another.

    Raises:
        OSError: if it cannot be written; nothing partial is left then.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
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


def remove_partial_files(directory: Path) -> None:
    """Removes what processes that were killed while they wrote have left."""
    for path in directory.glob(".*.partial"):
        path.unlink(missing_ok=True)


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

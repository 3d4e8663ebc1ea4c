"""The kernel in the user's cache: built once, by one process at a time, and kept only if it can be loaded."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from hnca.messages.compiled.compiler import compiled, compiler, fingerprint
from hnca.messages.compiled.library import (
    BuildError,
    kept_library,
    libraries,
    library_name,
    require_private,
    shipped_kind,
)

_SECONDS = 120
"""For everything: what others are compiling, and what is compiled here."""
_PAUSE = 0.1
_UNFINISHED = "building-"


def built_library() -> Path:
    """Returns the path of the kernel's shared library, compiling it if the cache has no whole one for these versions.

    Raises:
        BuildError: if there is no compiler, or it fails, or the cache cannot be written, or may be written by others.
    """
    command = compiler()
    folder = user_cache_path("hnca", appauthor=False) / "kernel"
    kind = fingerprint(command)
    deadline = time.monotonic() + _SECONDS
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_private(folder)
        found = kept_library(folder, kind, private=True)
        if found is not None:
            return found
        with _alone(folder / f"flips-{kind}.lock", deadline):
            # Whoever was here before has built it.
            return kept_library(folder, kind, private=True) or _build(command, folder, kind, deadline)
    except OSError as error:
        raise BuildError(f"{folder} cannot be written ({error.strerror or error})") from None


def build_to_ship(folder: Path) -> Path:
    """Compiles into an empty folder, and returns a library to be shipped, which needs no library of the compiler's.

    Raises:
        BuildError: if it cannot be compiled.
        OSError: if the folder cannot be written.
    """
    alone = ("-static-libstdc++", "-static-libgcc") if sys.platform == "linux" else ()
    library = compiled(compiler(), folder, time.monotonic() + _SECONDS, alone)
    return library.rename(folder / library_name(shipped_kind(), library.read_bytes()))


def _build(command: Sequence[str], folder: Path, kind: str, deadline: float) -> Path:
    if hasattr(os, "ST_NOEXEC") and os.statvfs(folder).f_flag & os.ST_NOEXEC:
        raise BuildError(f"{folder} is on a file system from which nothing may be run")
    for left in (*folder.glob(f"{_UNFINISHED}*"), *libraries(folder, kind)):  # by one that was killed, or damaged
        shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=folder, ignore_cleanup_errors=True) as own:
        library = compiled(command, Path(own), deadline)
        target = folder / library_name(kind, library.read_bytes())
        library.chmod(0o700)
        _bring_to_disk(library)
        library.replace(target)
        _bring_to_disk(folder)
    return target


@contextlib.contextmanager
def _alone(lock: Path, deadline: float) -> Iterator[None]:
    """Waits until no other process of this user builds; the system lets go of what a killed one has held."""
    try:
        import fcntl
    except ImportError:  # Windows: whoever builds at the same time builds the same
        yield
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BuildError(f"another process has been building it for longer than {_SECONDS} s") from None
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _bring_to_disk(path: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot, and Windows opens no folders
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

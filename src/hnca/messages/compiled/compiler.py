"""Compiles the kernel with whatever C++ compiler there is, which is not trusted to end, or to do what it says."""

import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import jaxlib.version

from hnca.messages.compiled.library import TARGETS, VECTORS, BuildError, content_of

_SOURCES = Path(__file__).parent
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-shared", "-Wno-psabi")
_COMPILERS = ("g++", "clang++", "c++")
_MOST_WORDS = 2**20
"""Bytes of messages after which a compiler is ended."""
_PAUSE = 0.02
_LOADS = "import ctypes, sys; library = ctypes.CDLL(sys.argv[1]); [getattr(library, name) for name in sys.argv[2:]]"


def compiler() -> list[str]:
    """Returns the command that compiles: `CXX`, split as a shell would, or what is found.

    Raises:
        BuildError: if there is none.
    """
    chosen = os.environ.get("CXX")
    try:
        candidates = [shlex.split(chosen)] if chosen else [[name] for name in _COMPILERS]
    except ValueError as error:
        raise BuildError(f"CXX={chosen} cannot be understood ({error})") from None
    for command in candidates:
        found = shutil.which(command[0]) if command else None
        if found:
            return [found, *command[1:]]
    raise BuildError(f"no C++ compiler found (tried {', '.join(shlex.join(command) for command in candidates)})")


def fingerprint(command: Sequence[str]) -> str:
    """Returns a name for all that the library depends on."""
    parts = [path.read_bytes() for path in sorted(_SOURCES.glob("*.[ch]*"))]
    parts += [os.fsencode(text) for text in (*_FLAGS, *command, jaxlib.version.__version__, platform.machine())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def compiled(command: Sequence[str], folder: Path, deadline: float, more: Sequence[str] = ()) -> Path:
    """Compiles into a folder, and returns a library that has been loaded by a process of its own.

    Args:
        command: the compiler.
        folder: an empty one.
        deadline: by `time.monotonic`, when all of it is to have ended.
        more: arguments.

    Raises:
        BuildError: saying what the compiler did instead.
        OSError: if the folder cannot be written.
    """
    target = folder / "flips.so"
    arguments = [*_FLAGS, *more, f"-isystem{jax.ffi.include_dir()}", str(_SOURCES / "flips.cc"), "-o", str(target)]
    name = shlex.join(command)
    problem = _problem([*command, *arguments], folder / "compiler.txt", deadline)
    if problem is not None:
        raise BuildError(f"{name} {problem}")
    if not target.is_file() or target.is_symlink() or not content_of(target):
        raise BuildError(f"{name} wrote no library")
    problem = _problem(
        [sys.executable, "-I", "-S", "-c", _LOADS, target, *TARGETS, VECTORS], folder / "loading.txt", deadline
    )
    if problem is not None:
        raise BuildError(f"what {name} wrote cannot be loaded: the process that tried {problem}")
    return target


def _problem(command: Sequence[str | Path], messages: Path, deadline: float) -> str | None:
    """Runs a command, and returns what went wrong, if anything."""
    begun = time.monotonic()
    with messages.open("wb") as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        except (OSError, ValueError) as error:
            return f"cannot be started ({getattr(error, 'strerror', None) or error})"
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    return f"took longer than {deadline - begun:.0f} s"
                if os.fstat(output.fileno()).st_size > _MOST_WORDS:
                    return "wrote messages without end"
                time.sleep(_PAUSE)
        finally:
            _end(process)
    if process.returncode:
        return f"failed: {_complaint(messages) or f'exit code {process.returncode}'}"
    return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ends a process and all that it has started, if it is still there."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def _complaint(messages: Path) -> str:
    """Returns the first line with an error in it, fit to be shown on a terminal."""
    with messages.open("rb") as file:
        lines = file.read(_MOST_WORDS).decode(errors="replace").splitlines()
    first = next((line for line in lines if "error" in line.lower()), "")
    return "".join(letter if letter.isprintable() else " " for letter in first)[:300].strip()

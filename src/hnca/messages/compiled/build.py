"""Compiles the kernel with whatever C++ compiler there is, once, and keeps it in the user's cache."""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import jaxlib.version
from platformdirs import user_cache_path

_SOURCES = Path(__file__).parent
_FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fPIC", "-shared")
_COMPILERS = ("g++", "clang++", "c++")
_SECONDS = 120


class BuildError(Exception):
    """The kernel cannot be had here; the message is a sentence that says why."""


def built_library() -> Path:
    """Returns the path of the kernel's shared library, compiling it if the cache has none for these versions.

    Raises:
        BuildError: if there is no compiler, or it fails, or nothing can be written to the cache.
    """
    compiler = _compiler()
    target = user_cache_path("hnca", appauthor=False) / "kernel" / f"flips-{_fingerprint(compiler)}.so"
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            compiled = Path(folder) / target.name
            _compile(compiler, compiled)
            # Whoever else compiles at the same time renames over it the same library.
            compiled.replace(target)
    except OSError as error:
        raise BuildError(f"{target.parent} cannot be written ({error.strerror or error})") from None
    return target


def _compiler() -> str:
    candidates = (os.environ["CXX"],) if os.environ.get("CXX") else _COMPILERS
    for name in candidates:
        found = shutil.which(name)
        if found:
            return found
    raise BuildError(f"no C++ compiler found (tried {', '.join(candidates)})")


def _fingerprint(compiler: str) -> str:
    """Returns a name for all that the library depends on."""
    parts = [path.read_bytes() for path in sorted(_SOURCES.glob("*.[ch]*"))]
    parts += [text.encode() for text in (*_FLAGS, compiler, jaxlib.version.__version__, platform.machine())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compile(compiler: str, target: Path) -> None:
    command = [compiler, *_FLAGS, f"-isystem{jax.ffi.include_dir()}", str(_SOURCES / "flips.cc"), "-o", str(target)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{compiler} took longer than {_SECONDS} s") from None
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "error" in line]
        raise BuildError(f"{compiler} failed: {lines[0] if lines else f'exit code {result.returncode}'}")

"""Whether the compiled kernel is used."""

import ctypes
import os
from functools import cache
from typing import NamedTuple

import jax
from jax.typing import DTypeLike

from hnca.messages.compiled.build import built_library
from hnca.messages.compiled.library import TARGETS, VECTORS, BuildError, shipped_library

VARIABLE = "HNCA_KERNEL"

LONGEST_VECTOR = 64
"""Bytes."""


class Status(NamedTuple):
    """Which kernel is in use.

    Attributes:
        compiled: whether the compiled one; else pure JAX.
        detail: a phrase that says where it is, or why not.
        vector_bytes: how long the compiled one's vectors are: 64 by AVX-512, 32 by AVX2, else 16; 0 for pure JAX.
    """

    compiled: bool
    detail: str
    vector_bytes: int = 0


def is_used(dtype: DTypeLike) -> bool:
    """Returns whether messages of this dtype go by the compiled kernel."""
    return jax.numpy.dtype(dtype).name in ("float32", "float64") and status().compiled


def status() -> Status:
    """Returns which kernel is in use; builds the compiled one if none came with the package, or is kept.

    Pure JAX is used if the environment variable HNCA_KERNEL is "jax", on anything but a CPU, and with several devices,
    over which the compiler can divide only what it can read.

    Raises:
        ValueError: if HNCA_KERNEL is set to anything but "auto" or "jax".
    """
    wish = os.environ.get(VARIABLE, "auto")
    if wish not in ("auto", "jax"):
        raise ValueError(f"{VARIABLE}={wish!r}; expected 'auto' or 'jax'.")
    if wish == "jax":
        return Status(False, f"{VARIABLE}=jax")
    if jax.default_backend() != "cpu":
        return Status(False, f"the device is a {jax.default_backend()}")
    if jax.device_count() > 1:
        return Status(False, f"there are {jax.device_count()} devices")
    return _registered()


def use_vectors_up_to(most: int) -> int:
    """Has the compiled kernel, which has to be in use, take no longer vectors from now on, as on an older CPU.

    Args:
        most: how many bytes a vector may have.

    Returns:
        How many bytes the vectors have.
    """
    return _use_vectors(ctypes.cdll.LoadLibrary(status().detail), most)


def _use_vectors(library: ctypes.CDLL, most: int) -> int:
    used: int = getattr(library, VECTORS)(most)
    return used


@cache
def _registered() -> Status:
    try:
        path = shipped_library() or built_library()
        library = ctypes.cdll.LoadLibrary(str(path))
        handlers = {target: jax.ffi.pycapsule(getattr(library, target)) for target in TARGETS}
        longest = _use_vectors(library, LONGEST_VECTOR)
    except (BuildError, OSError, AttributeError) as error:
        return Status(False, str(error))
    for target, handler in handlers.items():
        jax.ffi.register_ffi_target(target, handler, platform="cpu")
    return Status(True, str(path), longest)

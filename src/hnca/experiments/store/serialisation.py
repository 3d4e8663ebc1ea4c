"""The state of training as bytes: Equinox's leaves, one array after another, nothing that could be executed."""

import io
from typing import Any, TypeGuard

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from hnca.experiments.files import read_array


def to_bytes(state: PyTree) -> memoryview:
    """Returns the arrays of a pytree in the order of its leaves, each in NumPy's format.

    Args:
        state: arrays that this process can read whole.
    """
    stream = io.BytesIO()
    eqx.tree_serialise_leaves(stream, state)
    return stream.getbuffer()


def from_bytes(content: bytes, template: PyTree) -> PyTree:
    """Returns a pytree like the template, with the arrays that `to_bytes` wrote.

    Args:
        content: what it returned.
        template: a pytree of the same structure.

    Raises:
        ValueError: if the arrays have other shapes or dtypes than the template's.
    """
    try:
        place = 0
        while place < len(content):  # before anything is made of what they say of themselves
            _, place = read_array(content, place)
        return eqx.tree_deserialise_leaves(io.BytesIO(content), template)
    except (RuntimeError, ValueError, EOFError) as error:
        raise ValueError(f"the state of another network: {str(error).splitlines()[0]}") from None


def arrays_of(content: bytes, description: object) -> dict[str, np.ndarray]:
    """Returns the arrays that `to_bytes` wrote, by their paths, without a template.

    Args:
        content: what it returned.
        description: what `described` returned of the same state.

    Raises:
        ValueError: if they are not there.
    """
    names = [each[0] for each in description] if _is_description(description) else None
    if names is None:
        raise ValueError("does not say which arrays it has")
    found, place = {}, 0
    for name in names:
        found[name], place = read_array(content, place)
    return found


def _is_description(value: Any) -> TypeGuard[list[list[str]]]:
    return isinstance(value, list) and all(
        isinstance(each, list) and len(each) == 3 and isinstance(each[0], str) for each in value
    )


def described(state: PyTree) -> list[list[object]]:
    """Returns path, dtype and shape of every array, in the order in which `to_bytes` writes them."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [[jax.tree_util.keystr(path), str(leaf.dtype), list(leaf.shape)] for path, leaf in leaves]

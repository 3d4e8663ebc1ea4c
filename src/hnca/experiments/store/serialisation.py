"""The state of training as bytes: Equinox's leaves, one array after another, nothing that could be executed."""

import io
from collections.abc import Sequence

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree


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
        return eqx.tree_deserialise_leaves(io.BytesIO(content), template)
    except (RuntimeError, ValueError, EOFError) as error:
        raise ValueError(f"the state of another network: {str(error).splitlines()[0]}") from None


def arrays_of(content: bytes, description: Sequence[Sequence[object]]) -> dict[str, np.ndarray]:
    """Returns the arrays that `to_bytes` wrote, by their paths, without a template.

    Args:
        content: what it returned.
        description: what `described` returned of the same state.
    """
    stream = io.BytesIO(content)
    return {str(path): np.load(stream, allow_pickle=False) for path, _, _ in description}


def described(state: PyTree) -> list[list[object]]:
    """Returns path, dtype and shape of every array, in the order in which `to_bytes` writes them."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [[jax.tree_util.keystr(path), str(leaf.dtype), list(leaf.shape)] for path, leaf in leaves]

"""Finds the layer whose parameters first left the finite numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from hnca.objectives import LogProb


def finite_leaves(parameters: PyTree) -> Float[Array, " leaves"]:
    """Returns, for every array of parameters, 1 if all of its numbers are finite and 0 otherwise."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)).astype(jnp.float32) for leaf in jax.tree.leaves(parameters)])


def not_looked_at(parameters: PyTree) -> Float[Array, " leaves"]:
    """Returns 1 for every array of parameters, whatever it holds."""
    return jnp.ones(len(jax.tree.leaves(parameters)))


def first_to_leave(parameters: PyTree, finite: Float[np.ndarray, "seeds leaves"]) -> tuple[str, float] | None:
    """Returns the layer whose parameters were finite after the smallest share of updates, and that share, if below 1.

    An update that divides infinity by infinity once does so ever after, so the share tells when it happened.

    Args:
        parameters: as `finite_leaves` had them; only their structure matters.
        finite: means of what `finite_leaves` returned, over the updates of an epoch, a row for each seed.
    """
    shares = np.min(finite, axis=0)
    worst = int(np.argmin(shares))
    if shares[worst] == 1:
        return None
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(parameters)]
    return _layer(parameters, paths[worst]), float(shares[worst])


def _layer(tree: PyTree, path: tuple[Any, ...]) -> str:
    """Returns what the layer is called that the path leads into, or the path itself if it leads into none."""
    node, in_layers = tree, False
    for key in path:
        if isinstance(key, jax.tree_util.GetAttrKey):
            if isinstance(node, LogProb):
                return f"the decoder's layer {node.value_name}"
            node, in_layers = getattr(node, key.name), key.name == "layers"
        elif in_layers:
            return f"layer {key.key}"
        else:
            node, in_layers = node[key.idx if isinstance(key, jax.tree_util.SequenceKey) else key.key], False
    return f"parameters {jax.tree_util.keystr(path)}"

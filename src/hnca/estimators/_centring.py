"""Subtracting a baseline from what is credited: shared by the estimators that take one."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from hnca._precision import at_least_float32
from hnca.baselines import Baseline
from hnca.network import Network, Trace


def input_size(network: Network) -> int:
    """Returns how many numbers all inputs of the network have together."""
    return sum(math.prod(shape) for _, shape in network.inputs)


def inputs_seen(network: Network, trace: Trace) -> Float[Array, "*batch size"]:
    """Returns all inputs of the network side by side."""
    batch = trace.batch_shape
    parts = [trace[name].astype(network.dtype).reshape(*batch, math.prod(shape)) for name, shape in network.inputs]
    return jnp.concatenate(parts, axis=-1) if parts else jnp.zeros((*batch, 0), network.dtype)


def first_state(baseline: Baseline, network: Network) -> PyTree:
    """Returns a baseline's state before the first call: in float32 at least, in which small steps are not lost."""
    return baseline.init(input_size(network), at_least_float32(network.dtype))


def unless_lost(learned: PyTree, state: PyTree, numbers: PyTree) -> PyTree:
    """Returns the state after a batch, or the one before, if what was learned from is not all finite.

    A single NaN would otherwise be in every gradient from then on, though the parameters be spared it.

    Args:
        learned: the state after the batch.
        state: that before.
        numbers: what tells: the batch's credits, or what is credited.
    """
    if not jax.tree.leaves(state):
        return learned
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(numbers)]))
    return jax.tree.map(lambda new, old: jnp.where(finite, new, old), learned, state)


def centred(
    baseline: Baseline | None, state: PyTree, inputs: Float[Array, "*batch size"], value: Float[Array, "*batch"]
) -> tuple[Float[Array, "*batch"], PyTree]:
    """Returns the value less the baseline, and the baseline's state after it has seen the value.

    The baseline computes in float32 at least. Of an empty batch there is nothing to learn.
    """
    if baseline is None or state is None or value.size == 0:
        return value, state
    wide = at_least_float32(value.dtype)
    inputs, observed = inputs.astype(wide), value.astype(wide)
    left = observed - baseline.predict(state, inputs)
    return left.astype(value.dtype), jax.lax.stop_gradient(baseline.update(state, inputs, observed))

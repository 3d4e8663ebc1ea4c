"""Whole forward passes beside the one that was given."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from hnca.estimators._base import Passes
from hnca.network import Network, Trace


def with_others(estimator: object, network: Network, trace: Trace, key: Key[Array, ""] | None, samples: int) -> Passes:
    """Returns the trace and `samples - 1` independent ones of the same inputs, all of weight 1.

    Args:
        estimator: who asks, for the error message.
        network: the network.
        trace: the first pass.
        key: split once for every other.
        samples: how many passes in all.

    Raises:
        ValueError: if there is no key.
    """
    if key is None:
        raise ValueError(f"{type(estimator).__name__}: key=None; expected a key, from which further passes are drawn.")
    inputs = {name: trace[name] for name, _ in network.inputs}
    keys = jax.random.split(key, samples - 1)
    others = jax.vmap(lambda one: network.sample(one, inputs, trace.batch_shape))(keys)
    shape = (samples, *trace.batch_shape)
    stacked = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), trace, others)
    return Passes(Trace(stacked.values, stacked.logits, shape), jnp.ones(shape, network.dtype))


def less_the_others(value: Array) -> Array:
    """Returns each pass's value less the mean of all other passes' values, `[passes, *batch]`."""
    passes = value.shape[0]
    return (value - jnp.mean(value, axis=0, keepdims=True)) * (passes / (passes - 1))


def checked_samples(name: str, samples: int) -> None:
    """Raises a ValueError unless there are at least two samples."""
    if samples < 2:
        raise ValueError(f"{name}: samples={samples!r}; expected at least 2, as each is another's baseline.")

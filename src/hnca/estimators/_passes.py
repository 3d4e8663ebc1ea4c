"""Estimators of several whole passes, each of which is the others' baseline."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from hnca.estimators._base import Estimator, Passes
from hnca.estimators._cost import Cost, whole_passes
from hnca.estimators._requirements import require_key, require_samples
from hnca.network import Network, Trace


class IndependentPassesEstimator(Estimator):
    """Credits `samples` passes: the one given, and others of the same inputs, drawn wholly anew and of equal weight."""

    samples: eqx.AbstractVar[int]

    def __check_init__(self):
        require_samples(self, self.samples)

    def passes(self, network: Network, trace: Trace, key: Key[Array, ""] | None) -> Passes:
        key = require_key(self, key, "further passes are")
        inputs = {name: trace[name] for name, _ in network.inputs}
        keys = jax.random.split(key, self.samples - 1)
        others = jax.vmap(lambda one: network.sample(one, inputs, trace.batch_shape))(keys)
        shape = (self.samples, *trace.batch_shape)
        stacked = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), trace, others)
        return Passes(Trace(stacked.values, stacked.logits, shape), jnp.ones(shape, network.dtype))

    def cost(self, network: Network) -> Cost:
        return whole_passes(self.samples)


def less_the_others(value: Array) -> Array:
    """Returns each pass's value less the mean of all other passes' values, `[passes, *batch]`."""
    passes = value.shape[0]
    return (value - jnp.mean(value, axis=0, keepdims=True)) * (passes / (passes - 1))


def mean_of_the_others(value: Array) -> Array:
    """Returns the mean of all other passes' values, in each pass, `[passes, *batch, ...]`."""
    return (jnp.sum(value, axis=0, keepdims=True) - value) / (value.shape[0] - 1)

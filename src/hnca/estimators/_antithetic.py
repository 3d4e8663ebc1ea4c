"""Antithetic pairs of Bernoulli samples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.units._noise import at_least_float32


def uniform_given_state(
    key: Key[Array, ""], logits: Float[Array, "*batch units"], state: Float[Array, "*batch units"]
) -> Float[Array, "*batch units"]:
    """Returns `u`, uniform on (0, 1), given that `state = 1[u < sigmoid(logits)]`."""
    probability = jax.nn.sigmoid(logits)
    # Drawn in float32 at least: one of sixteen bits is too coarse.
    uniform = jax.random.uniform(key, logits.shape, at_least_float32(logits.dtype)).astype(logits.dtype)
    return jnp.where(state > 0.5, uniform * probability, probability + uniform * (1 - probability))


def antithetic_state(
    uniform: Float[Array, "*batch units"], logits: Float[Array, "*batch units"]
) -> Float[Array, "*batch units"]:
    """Returns the state that `1 - u` gives where `u` gave the first: `1[1 - u < sigmoid(logits)]`."""
    return (1 - uniform < jax.nn.sigmoid(logits)).astype(logits.dtype)

"""Antithetic pairs of samples."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca._precision import at_least_float32
from hnca.estimators._paired import Second
from hnca.estimators._requirements import require_bernoulli
from hnca.estimators._stick_breaking import antithetic_pair, category_of, coupled_credit, sticks_of
from hnca.units import Categorical, Layer


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


def antithetic_second(
    estimator: object, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array
) -> Second:
    """Returns the antithetic sample of a layer and DisARM's weight, from which the noise is integrated out.

    Raises:
        ValueError: for a layer that is neither Bernoulli nor categorical; names the estimator.
    """
    if isinstance(layer, Categorical):
        sticks = sticks_of(logits)
        pair = antithetic_pair(sticks, key, values)
        return Second(category_of(sticks, pair.second), coupled_credit(sticks, pair))
    bernoulli = require_bernoulli(estimator, layer, "Bernoulli and Categorical")
    state = bernoulli.state(values)
    other = antithetic_state(uniform_given_state(key, logits, state), logits)
    return Second(bernoulli.from_state(other), (state - other) * jax.nn.sigmoid(jnp.abs(logits)) / 2)

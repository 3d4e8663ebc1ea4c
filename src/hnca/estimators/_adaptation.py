"""Control variates that are adapted while they are in use: towards a lesser mean square of the credits."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key, PyTree

from hnca._optax import step
from hnca._precision import at_least_float32


class AdaptationState(NamedTuple):
    """What such an estimator carries from call to call, in float32 at least.

    Attributes:
        parameters: of the control variate.
        adam: the state of the Adam that adapts them.
    """

    parameters: PyTree
    adam: optax.OptState


def adapted(adam: optax.GradientTransformation, state: AdaptationState, slope: PyTree) -> AdaptationState:
    """Returns the state after one step against the slope."""
    return jax.lax.stop_gradient(AdaptationState(*step(adam, slope, state.adam, state.parameters)))


def mean_square(credits: Mapping[str, Array], batch_shape: Sequence[int]) -> Float[Array, ""]:
    """Returns the sum of the squares of an example's credits, mean over the batch, in float32 at least.

    The credits' mean is the same for any control variate, so this is their variance but for a constant.
    """
    examples = max(1, math.prod(batch_shape))
    squares = [jnp.sum(c.astype(at_least_float32(c.dtype)) ** 2) / examples for c in credits.values()]
    return sum(squares[1:], squares[0])


def hidden_layer(key: Key[Array, ""], inputs: int, units: int, dtype: DTypeLike) -> dict[str, Array]:
    """Returns the first weights of a layer of hyperbolic tangents."""
    weight = jax.random.normal(key, (inputs, units), dtype) / inputs**0.5
    return {"hidden": weight, "hidden_bias": jnp.zeros(units, dtype)}


def hidden_of(weights: Mapping[str, Array], seen: Float[Array, "*batch inputs"]) -> Float[Array, "*batch units"]:
    """Returns what the layer makes of what it sees."""
    product = seen @ weights["hidden"]
    return jnp.tanh(product + jnp.broadcast_to(weights["hidden_bias"], product.shape))

"""Regression of a quantity by the inputs of the network: two dense layers, trained by Adam."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from hnca._optax import step

HIDDEN = 100


class Prediction(NamedTuple):
    """The parameters: `hidden` `[inputs, 100]`, `hidden_bias` and `output` `[100]`, `output_bias` `[]`."""

    hidden: Array
    hidden_bias: Array
    output: Array
    output_bias: Array


class Regression(NamedTuple):
    """Parameters and what Adam knows of them: arrays only.

    Attributes:
        parameters: of the prediction.
        optimiser: Adam's state.
    """

    parameters: Prediction
    optimiser: optax.OptState


def begin(size: int, dtype: DTypeLike, adam: optax.GradientTransformation) -> Regression:
    """Returns one of `size` inputs that predicts 0; its hidden weights are the same in every run."""
    bound = (6 / (size + HIDDEN)) ** 0.5
    hidden = jax.random.uniform(jax.random.key(0), (size, HIDDEN), dtype, -bound, bound)
    # An array each, so that they can be donated to the next update.
    parameters = Prediction(hidden, jnp.zeros(HIDDEN, dtype), jnp.zeros(HIDDEN, dtype), jnp.zeros((), dtype))
    return Regression(parameters, adam.init(parameters))


def predict(regression: Regression, seen: Float[Array, "*batch inputs"]) -> Float[Array, "*batch"]:
    """Returns the prediction for every example."""
    return _predict(regression.parameters, seen)


def learn(
    regression: Regression,
    seen: Float[Array, "*batch inputs"],
    observed: Float[Array, "*batch"],
    adam: optax.GradientTransformation,
) -> Regression:
    """Returns it after one step of Adam on the mean squared error."""

    def error(parameters: Prediction) -> Float[Array, ""]:
        return jnp.mean((observed - _predict(parameters, seen)) ** 2)

    gradient = jax.grad(error)(regression.parameters)
    return Regression(*step(adam, gradient, regression.optimiser, regression.parameters))


def _predict(parameters: Prediction, seen: Float[Array, "*batch inputs"]) -> Float[Array, "*batch"]:
    # Data that is missing, and masks: what the program makes of them is its own affair.
    before = jnp.nan_to_num(seen, nan=0.0, posinf=1.0, neginf=-1.0) @ parameters.hidden
    hidden = jnp.tanh(before + jnp.broadcast_to(parameters.hidden_bias, before.shape))
    result = hidden @ parameters.output
    return result + jnp.broadcast_to(parameters.output_bias, result.shape)

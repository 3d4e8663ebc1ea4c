"""A baseline that is learned from the inputs of the network: two dense layers, trained by regression."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from hnca.network import Network, Trace

HIDDEN = 100


class Prediction(NamedTuple):
    """The parameters: `hidden` `[inputs, 100]`, `hidden_bias` and `output` `[100]`, `output_bias` `[]`."""

    hidden: Array
    hidden_bias: Array
    output: Array
    output_bias: Array


class InputBaseline(NamedTuple):
    """Parameters and what Adam knows of them: arrays only.

    Attributes:
        parameters: of the prediction.
        optimiser: Adam's state.
    """

    parameters: Prediction
    optimiser: optax.OptState


def begin(network: Network, learning_rate: float) -> InputBaseline:
    """Returns a baseline that predicts 0; its hidden weights are the same in every run."""
    size = sum(math.prod(shape) for _, shape in network.inputs)
    bound = (6 / (size + HIDDEN)) ** 0.5
    hidden = jax.random.uniform(jax.random.key(0), (size, HIDDEN), network.dtype, -bound, bound)
    zeros = jnp.zeros(HIDDEN, network.dtype)
    parameters = Prediction(hidden, zeros, zeros, jnp.zeros((), network.dtype))
    return InputBaseline(parameters, optax.adam(learning_rate).init(parameters))


def features(network: Network, trace: Trace) -> Float[Array, "*batch inputs"]:
    """Returns all inputs of the network side by side."""
    batch = trace.batch_shape
    parts = [trace[name].astype(network.dtype).reshape(*batch, math.prod(shape)) for name, shape in network.inputs]
    return jnp.concatenate(parts, axis=-1) if parts else jnp.zeros((*batch, 0), network.dtype)


def predict(baseline: InputBaseline, seen: Float[Array, "*batch inputs"]) -> Float[Array, "*batch"]:
    """Returns the prediction for every example."""
    return _predict(baseline.parameters, seen)


def learn(
    baseline: InputBaseline,
    seen: Float[Array, "*batch inputs"],
    observed: Float[Array, "*batch"],
    learning_rate: float,
) -> InputBaseline:
    """Returns the baseline after one step of Adam on the mean squared error."""

    def error(parameters: Prediction) -> Float[Array, ""]:
        return jnp.mean((observed - _predict(parameters, seen)) ** 2)

    gradient = jax.grad(error)(baseline.parameters)
    # Optax's Adam raises a float to an integer power, which a caller with strict promotion could not do.
    with jax.numpy_dtype_promotion("standard"):
        steps, optimiser = optax.adam(learning_rate).update(gradient, baseline.optimiser)
    return InputBaseline(optax.apply_updates(baseline.parameters, steps), optimiser)


def _predict(parameters: Prediction, seen: Float[Array, "*batch inputs"]) -> Float[Array, "*batch"]:
    before = seen @ parameters.hidden
    hidden = jnp.tanh(before + jnp.broadcast_to(parameters.hidden_bias, before.shape))
    result = hidden @ parameters.output
    return result + jnp.broadcast_to(parameters.output_bias, result.shape)

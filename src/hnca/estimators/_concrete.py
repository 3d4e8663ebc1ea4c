"""The concrete relaxation of Bernoulli layers, with the noise that made a given hard pass."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key

from hnca.network import Network, Trace
from hnca.units import Bernoulli


class LayerNoise(NamedTuple):
    """The logistic noise of one layer, each `[*batch, units]`.

    Attributes:
        prior: `e` with `state = 1[logits + e > 0]` for the state that the trace has; logistic once the state is
            integrated out, whatever the logits.
        conditional: logistic, independent of `prior` and of the state: what `relaxation_given_state` takes.
    """

    prior: Float[Array, "*batch units"]
    conditional: Float[Array, "*batch units"]


def bernoulli_layers(estimator: object, network: Network) -> dict[str, Bernoulli]:
    """Returns the network's layers; a layer of another family is a ValueError that names it."""
    layers = {}
    for name, layer in network.layers.items():
        if not isinstance(layer, Bernoulli):
            raise ValueError(
                f"{type(estimator).__name__}: layer {name!r} is {type(layer).__name__}; it relaxes Bernoulli layers "
                "only; use HNCA or LeaveOneOut."
            )
        layers[name] = layer
    return layers


def draw_noise(
    layers: Mapping[str, Bernoulli], trace: Trace, key: Key[Array, ""], order: tuple[str, ...]
) -> dict[str, LayerNoise]:
    """Returns, for every layer, the noise that could have made its values, and noise to draw its relaxation again."""
    noise = {}
    for name, layer_key in zip(order, jax.random.split(key, len(order)), strict=True):
        logits, state = trace.logits[name], layers[name].state(trace[name]).astype(trace.logits[name].dtype)
        posterior_key, again_key = jax.random.split(layer_key)
        posterior = relaxation_given_state(_logistic(posterior_key, logits), logits, state)
        noise[name] = LayerNoise(jax.lax.stop_gradient(posterior - logits), _logistic(again_key, logits))
    return noise


def relaxation_given_state(
    noise: Float[Array, "*batch units"], logits: Float[Array, "*batch units"], state: Float[Array, "*batch units"]
) -> Float[Array, "*batch units"]:
    """Returns `z = logits + logistic noise` given that `state = 1[z > 0]`, as a function of `noise` and the logits.

    With `v` the uniform variable that makes `noise = log(v / (1 - v))`, `z = log(1 + v / ((1 - v) (1 - p)))` where the
    state is 1 and `-log(1 + v / ((1 - v) p))` where it is 0 (Tucker et al. 2017, the appendix on reparameterising the
    conditional), written without probabilities, so that it is finite for any logits.
    """
    sign = 2 * state - 1
    return sign * jax.nn.softplus(noise + jax.nn.softplus(sign * logits))


def relaxed_pass(
    layers: Mapping[str, Bernoulli],
    network: Network,
    trace: Trace,
    name: str,
    relaxed_state: Float[Array, "*batch units"],
    noise: Mapping[str, LayerNoise],
    temperature: Float[Array, ""],
) -> Trace:
    """Returns the trace with one layer relaxed, and everything after it relaxed with the noise of the hard pass.

    The logits of the layer itself stay what they are: what the objective reads of them is the direct part.
    """
    changed = {name}
    values, logits = {**trace.values, name: layers[name].from_state(relaxed_state)}, dict(trace.logits)
    for other in network.order:
        if other != name and changed & set(network.layers[other].conditional.parents):
            changed.add(other)
            logits[other] = network.layer_logits(values, other, trace.batch_shape)
            state = jax.nn.sigmoid((logits[other] + noise[other].prior) / temperature)
            values[other] = layers[other].from_state(state)
    return Trace(values, logits, trace.batch_shape)


def _logistic(key: Key[Array, ""], like: Float[Array, "*batch units"]) -> Float[Array, "*batch units"]:
    return jax.random.logistic(key, like.shape, like.dtype)

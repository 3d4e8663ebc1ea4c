"""A pass that is relaxed from one layer on, with the noise that made a given hard pass."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key

from hnca.estimators._relaxation import Relaxation, finite, relaxation_of
from hnca.network import Network, Trace


class NoisyLayer(NamedTuple):
    """A layer's relaxation and its noise, in the shape of the logits: logistic, or Gumbel for a categorical layer.

    Attributes:
        relaxation: of the layer.
        prior: what makes the trace's values when it is added to the logits; distributed as fresh noise, whatever the
            logits, once the values are integrated out.
        conditional: fresh, independent of `prior` and of the values: what `Relaxation.scores_given` takes.
    """

    relaxation: Relaxation
    prior: Float[Array, "*logits"]
    conditional: Float[Array, "*logits"]


def noisy_layers(estimator: object, network: Network, trace: Trace, key: Key[Array, ""]) -> dict[str, NoisyLayer]:
    """Returns, for every layer, the noise that could have made its values, and noise to draw its relaxation again.

    Raises:
        ValueError: for a layer of a family that has no relaxation.
    """
    noisy = {}
    for name, layer_key in network.layer_keys(key).items():
        relaxation, logits = relaxation_of(estimator, network.layers[name]), finite(trace.logits[name])
        posterior_key, again_key = jax.random.split(layer_key)
        fresh = relaxation.noise(posterior_key, logits)
        posterior = relaxation.scores_given(fresh, logits, relaxation.point(trace[name], logits))
        prior = jax.lax.stop_gradient(posterior - logits)
        noisy[name] = NoisyLayer(relaxation, prior, relaxation.noise(again_key, logits))
    return noisy


def relaxed_pass(
    noisy: Mapping[str, NoisyLayer],
    network: Network,
    trace: Trace,
    name: str,
    point: Float[Array, "*logits"],
    temperature: Float[Array, ""],
) -> Trace:
    """Returns the trace with one layer relaxed, and everything after it relaxed with the noise of the hard pass.

    The logits of the layer itself stay what they are: what the objective reads of them is the direct part.

    Args:
        noisy: every layer.
        network: the network.
        trace: the hard pass.
        name: the layer that is relaxed first.
        point: where it is.
        temperature: of all that comes after it.
    """

    def take(other: str, logits: Float[Array, "*logits"]) -> Array:
        relaxation = noisy[other].relaxation
        return relaxation.values(relaxation.soft((finite(logits) + noisy[other].prior) / temperature))

    return network.pass_after(take, trace, name, noisy[name].relaxation.values(point))

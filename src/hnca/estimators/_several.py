"""Estimators of several samples of each layer, each of which has the others as its baseline."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from hnca.estimators._cost import Cost, passes_from_each_layer
from hnca.estimators._downstream import over_logits
from hnca.estimators._passes import less_the_others
from hnca.estimators._requirements import require_samples
from hnca.estimators._resampling import ResamplingEstimator
from hnca.network import Network, Trace
from hnca.objectives import Objective
from hnca.units import Layer


class SeveralSamplesEstimator(ResamplingEstimator):
    """For each layer `samples - 1` more samples, and everything after the layer drawn anew with each of them.

    With `s` the score and `f_k` the components the layer can change, the credit is `scale * 1/K sum_k s(x_k) (f_k -
    1/(K-1) sum_{j != k} f_j)`.
    """

    samples: eqx.AbstractVar[int]

    def __check_init__(self):
        require_samples(self, self.samples)

    @abstractmethod
    def others(
        self, layer: Layer, keys: Key[Array, " others"], logits: Float[Array, "*logits"], values: Array
    ) -> Array:
        """Returns the layer's other samples given its first, `[samples - 1, *batch, units]`.

        Raises:
            ValueError: if the family of the layer is not one the estimator is for.
        """

    def scale(self, logits: Float[Array, "*logits"]) -> Float[Array, "*logits"] | None:
        """Returns what each unit's credit is multiplied with; None, for independent samples, for nothing."""
        return None

    def cost(self, network: Network) -> Cost:
        return passes_from_each_layer(network, self.samples - 1)

    def credit_layer(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        name: str,
        members: tuple[int, ...],
        value: Float[Array, "*batch"],
        key: Key[Array, ""],
    ) -> Float[Array, "*logits"]:
        layer, logits = network.layers[name], trace.logits[name]
        keys = jax.vmap(jax.random.split)(jax.random.split(key, self.samples - 1))
        others = self.others(layer, keys[:, 0], logits, trace[name])

        def another(after_key: Key[Array, ""], values: Array) -> tuple[Array, Float[Array, "*batch"]]:
            other = network.resample(after_key, trace, name, values)
            return layer.score(logits, values), objective.value_of(members, network, other)

        scores, values = jax.vmap(another)(keys[:, 1], others)
        scores = jnp.concatenate([layer.score(logits, trace[name])[None], scores])
        centred = less_the_others(jnp.concatenate([value[None], values]))
        credit = jnp.mean(scores * over_logits(centred, scores), axis=0)
        scale = self.scale(logits)
        return credit if scale is None else scale * credit

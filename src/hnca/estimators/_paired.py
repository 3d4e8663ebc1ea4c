"""Estimators that compare the trajectory with a second one, drawn anew from each layer on."""

from abc import abstractmethod
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key

from hnca.estimators._cost import Cost, passes_from_each_layer
from hnca.estimators._downstream import over_logits
from hnca.estimators._resampling import ResamplingEstimator
from hnca.network import Network, Trace
from hnca.objectives import Objective
from hnca.units import Layer


class Second(NamedTuple):
    """The second sample of a layer.

    Attributes:
        values: what the units take, `[*batch, units]`.
        weight: what the difference of the objective's two values is multiplied with, in the shape of the logits.
    """

    values: Array
    weight: Array


class PairedEstimator(ResamplingEstimator):
    """For each layer a second trajectory: the layer's units drawn again, and everything after it with them.

    The credit of the layer is `weight * (f(first) - f(second))`, of the components that the layer can change. The first
    trajectory is the trace; each layer adds a pass over what comes after it, so cost is quadratic in depth.
    """

    @abstractmethod
    def second(self, layer: Layer, key: Key[Array, ""], logits: Float[Array, "*logits"], values: Array) -> Second:
        """Returns the layer's second sample and the weight, given the first.

        Raises:
            ValueError: if the family of the layer is not one the estimator is for.
        """

    def cost(self, network: Network) -> Cost:
        return passes_from_each_layer(network, 1)

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
        logits = trace.logits[name]
        unit_key, after_key = jax.random.split(key)
        second = self.second(network.layers[name], unit_key, logits, trace[name])
        other = network.resample(after_key, trace, name, second.values)
        return second.weight * over_logits(value - objective.value_of(members, network, other), logits)

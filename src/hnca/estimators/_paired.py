"""Estimators that compare the trajectory with a second one, drawn anew from each layer on."""

from abc import abstractmethod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators._base import Credits, Estimator
from hnca.estimators._cost import Cost, passes_from_each_layer
from hnca.estimators._downstream import over_logits
from hnca.estimators._repeatable import require_repeatable
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, roles
from hnca.units import Layer


class Second(NamedTuple):
    """The second sample of a layer.

    Attributes:
        values: what the units take, `[*batch, units]`.
        weight: what the difference of the objective's two values is multiplied with, in the shape of the logits.
    """

    values: Array
    weight: Array


class PairedEstimator(Estimator):
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

    def init(self, network: Network, objective: Objective | Component) -> PyTree:
        return {}

    def cost(self, network: Network) -> Cost:
        return passes_from_each_layer(network, 1)

    def credit(
        self, network: Network, objective: Objective, trace: Trace, key: Key[Array, ""] | None, state: PyTree
    ) -> tuple[Credits, PyTree]:
        require_repeatable(self, objective)
        reached = roles(network, objective.components)
        if key is None:
            raise ValueError(
                f"{type(self).__name__}: key=None; expected a key, from which the second samples are drawn."
            )
        first = objective.values(network, trace)
        credits = {}
        keys = jax.random.split(key, len(network.order))
        for (layer, layer_roles), layer_key in zip(reached.items(), keys, strict=True):
            indices = [index for role in layer_roles for index in role.members]
            credits[layer] = self._credit_layer(network, objective, trace, layer, indices, first, layer_key)
        return credits, state

    def _credit_layer(
        self,
        network: Network,
        objective: Objective,
        trace: Trace,
        name: str,
        reached: list[int],
        first: list[Array],
        key: Key[Array, ""],
    ) -> Float[Array, "*logits"]:
        logits = trace.logits[name]
        if not reached:
            return jnp.zeros_like(logits)
        unit_key, after_key = jax.random.split(key)
        second = self.second(network.layers[name], unit_key, logits, trace[name])
        other = network.resample(after_key, trace, name, second.values)
        here = sum((first[i] for i in reached[1:]), first[reached[0]])
        return second.weight * over_logits(here - objective.value_of(reached, network, other), logits)


class FinitelyPairedEstimator(PairedEstimator):
    """One whose weight is a function of the two samples, so that all it can do may be enumerated."""

    @abstractmethod
    def weight(self, layer: Layer, logits: Float[Array, "*logits"], values: Array, second: Array) -> Array:
        """Returns the weight for these two samples, in the shape of the logits."""

    @abstractmethod
    def second_log_prob(self, layer: Layer, logits: Float[Array, "*logits"], values: Array, second: Array) -> Array:
        """Returns the log-probability of each unit's second value given the first, `[*batch, units]`."""

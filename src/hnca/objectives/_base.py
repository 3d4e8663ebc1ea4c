"""Objectives: what is to be made large, as a sum of components."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Float

from hnca.network import Network, Trace


class Component(eqx.Module):
    """One term of an objective.

    Attributes:
        arguments: the layers whose values it reads.
        counterfactual: whether `contrast` is known.
        repeatable: whether `value` can be computed for another trace than the one it was made for.
    """

    arguments: eqx.AbstractVar[tuple[str, ...]]
    counterfactual: eqx.AbstractVar[bool]
    repeatable: eqx.AbstractVar[bool]

    @abstractmethod
    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        """Returns the component's value for every example."""

    @abstractmethod
    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns how the value answers to each unit of one of its arguments, all else fixed.

        In the shape of the layer's logits: `f(upper) - f(lower)` for a Bernoulli unit, `f(k) - f(value taken)` for
        every category of a categorical one (see `hnca.units.Layer.credit`).
        """


class Objective(eqx.Module):
    """A sum of components: `E[f] = E[sum_i f^i]`.

    Attributes:
        components: the terms.
    """

    components: tuple[Component, ...]

    def __init__(self, *components: Component):
        self.components = components

    def __check_init__(self):
        if not self.components:
            raise ValueError("Objective: components=(); expected at least one component.")

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        """Returns the sum of the components for every example."""
        values = [component.value(network, trace) for component in self.components]
        return sum(values[1:], values[0])


def as_objective(objective: Objective | Component) -> Objective:
    """Returns an objective; a single component stands for the sum of itself."""
    return Objective(objective) if isinstance(objective, Component) else objective

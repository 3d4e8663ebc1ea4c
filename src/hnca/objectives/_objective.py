"""Objectives: what is to be made large, as a sum of components."""

from collections.abc import Sequence

import equinox as eqx
from jaxtyping import Array, Float

from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._checked import checked_value
from hnca.objectives.explanation import Explanation, explanation
from hnca.objectives.log_prob import LogProb


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
        for place, component in enumerate(self.components):
            if not isinstance(component, Component):
                raise ValueError(
                    f"Objective: components[{place}] is a {type(component).__name__}; expected a component, such as "
                    "hnca.Function; give them one after another, not as a list."
                )

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        """Returns the sum of the components for every example."""
        return self.value_of(range(len(self.components)), network, trace)

    def values(self, network: Network, trace: Trace) -> list[Float[Array, "*batch"]]:
        """Returns every component's value for every example, in the network's dtype.

        Raises:
            ValueError: if a component returns anything but one real number an example. The message names it.
        """
        return [checked_value(component, network, trace) for component in self.components]

    def value_of(self, members: Sequence[int], network: Network, trace: Trace) -> Float[Array, "*batch"]:
        """Returns the sum of some components, by their places, for every example; errors as for `values`."""
        values = [checked_value(self.components[place], network, trace) for place in members]
        return sum(values[1:], values[0])

    def is_log_weight(self, network: Network) -> bool:
        """Returns whether the value is the log of an importance weight, the network being the proposal."""
        return all(isinstance(c, LogProb) and c.value_name not in network.layers for c in self.components)

    def subtracts_log_q(self, network: Network) -> bool:
        """Returns whether, if the value is a log weight, the network's own log-probability is subtracted in it."""
        return False

    def explain(self, network: Network) -> Explanation:
        """Returns a table of how each component reaches each layer of the network; print it, or draw it by its `svg`.

        Cells read `direct`, `via children`, `direct + via children`, `score` (no counterfactual) or `-` (not reached).

        Raises:
            ValueError: if a component takes a layer as an argument that the network has not.
        """
        return explanation(network, self.components)


def as_objective(objective: Objective | Component) -> Objective:
    """Returns an objective; a single component stands for the sum of itself, and anything else is a ValueError."""
    if not isinstance(objective, Objective | Component):
        kind = type(objective).__name__
        raise ValueError(f"objective is a {kind}; expected an hnca.Objective, or a component such as hnca.Function.")
    return objective if isinstance(objective, Objective) else Objective(objective)

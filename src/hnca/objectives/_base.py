"""A component: one term of an objective."""

from abc import abstractmethod
from collections.abc import Sequence

import equinox as eqx
from jaxtyping import Array, Float

from hnca.messages import Changes, SmallSum
from hnca.network import Network, Trace

_MOST_NAMES = 3


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
        """Returns the component's value for every example: one number each.

        Its shape is checked, and its dtype made the network's, wherever an `Objective` reads it.
        """

    @abstractmethod
    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        """Returns how the value answers to each unit of one of its arguments, all else fixed.

        In the shape of the layer's logits: `f(upper) - f(lower)` for a Bernoulli unit, `f(k) - f(value taken)` for
        every category of a categorical one (see `hnca.units.Layer.credit`).
        """

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        """Returns whether `contrast` evaluates the component anew for every other value of every unit of the layer.

        Then `changes` says how, so that an estimator can do with some of them (`hnca.HNCA(counterfactuals=...)`).
        """
        return False

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        """Returns how the value changes with the units of a layer for which it `is_reevaluated`."""
        raise NotImplementedError(f"{self}: is not evaluated anew for {layer!r}.")

    def at_once(self, network: Network, trace: Trace) -> SmallSum | None:
        """Returns the value as a sum to be evaluated for several layers, where contrasts are best found at once.

        None where those for one layer after the other are.
        """
        return None

    def check(self, network: Network, trace: Trace) -> None:
        """Raises a ValueError where the component does not fit the network or the trace; asked once an estimate.

        The trace is the very one that the caller gave, so that what a function closes over can be told from it.
        """

    @property
    def entropy_of(self) -> str | None:
        """The layer of the network whose analytic entropy this is, whose message then costs less; None for others."""
        return None

    def __str__(self) -> str:
        return f"{type(self).__name__}({listed(self.arguments)})"


def listed(names: Sequence[str]) -> str:
    """Returns names for a reader: of more than three the first and the last, and how many."""
    return ", ".join(names) if len(names) <= _MOST_NAMES else f"{names[0]} ... {names[-1]} ({len(names)})"

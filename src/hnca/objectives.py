"""Objectives: what is to be made large, as a sum of components."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from hnca.network import Network, Trace


class Component(eqx.Module):
    """One term of an objective.

    Attributes:
        arguments: the layers whose values it reads.
        counterfactual: whether `contrast` is known.
    """

    arguments: eqx.AbstractVar[tuple[str, ...]]
    counterfactual: eqx.AbstractClassVar[bool]

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


class Reward(Component):
    """A reward observed once: nothing is known of what it would have been otherwise.

    Example:
        ```python
        reward = environment(trace["action"])
        estimate = hnca.HNCA()(network, hnca.Reward("action", reward), trace)
        ```

    Attributes:
        observed: the reward of every example, `[*batch]`.
    """

    counterfactual: ClassVar[bool] = False
    observed: Shaped[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, arguments: str | Sequence[str], observed: Shaped[Array | np.ndarray, "*batch"]):
        """Args:
            arguments: the layers the environment saw; the reward depends on the others only through them.
            observed: the reward of every example, `[*batch]`; larger is better.

        Raises:
            ValueError: for no arguments, or (outside of `jax.jit`, where values are known) a reward that is NaN or
                infinite.
        """
        self.arguments = (arguments,) if isinstance(arguments, str) else tuple(arguments)
        self.observed = jnp.asarray(observed)
        if not self.arguments:
            raise ValueError("Reward: arguments=(); expected at least one layer.")
        _require_finite(self.observed)

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        if self.observed.shape != trace.batch_shape:
            raise ValueError(
                f"Reward: observed has shape {self.observed.shape}; expected one reward an example, "
                f"{trace.batch_shape}."
            )
        return self.observed.astype(network.dtype)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        raise ValueError("Reward: an observed reward has no counterfactual, so no contrast.")


def _require_finite(observed: Array) -> None:
    if isinstance(observed, jax.core.Tracer):
        return
    count = int(jnp.sum(~jnp.isfinite(observed)))
    if count:
        raise ValueError(f"Reward: observed has {count} values that are NaN or infinite; expected finite rewards.")


def as_objective(objective: Objective | Component) -> Objective:
    """Returns an objective; a single component stands for the sum of itself."""
    return Objective(objective) if isinstance(objective, Component) else objective

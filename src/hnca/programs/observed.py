"""A term of a program that is known at the sample alone."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.network import Network, Trace
from hnca.objectives import Component


class ObservedComponent(Component):
    """What cannot be asked what it would have been otherwise: known at the sample alone.

    Attributes:
        observed: its value, `[*batch]`.
        arguments: the names of the draws that it reads.
        counterfactual: False.
        repeatable: False.
    """

    observed: Float[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, observed: Float[Array, "*batch"], arguments: tuple[str, ...]):
        """Args: see the class."""
        self.observed, self.arguments = observed, arguments
        self.counterfactual = self.repeatable = False

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return jnp.broadcast_to(self.observed, trace.batch_shape)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        raise ValueError("hnca.observed: what is observed has no counterfactual, so no contrast.")

    def __str__(self) -> str:
        return f"observed({', '.join(self.arguments)})"

"""What comes after each layer: the components that it can change."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from hnca.network import Network, Trace
from hnca.objectives import Objective, roles


def downstream_members(network: Network, objective: Objective) -> dict[str, tuple[int, ...]]:
    """Returns, for every layer, the places of the components it can change.

    Raises:
        ValueError: if a component takes a layer as an argument that the network has not.
    """
    reached = roles(network, objective.components)
    return {name: tuple(place for role in of_layer for place in role.members) for name, of_layer in reached.items()}


def downstream_values(network: Network, objective: Objective, trace: Trace) -> dict[str, Float[Array, "*batch"] | None]:
    """Returns, for every layer, the sum of the components it can change; None where there is none."""
    values = objective.values(network, trace)
    reached = {n: [values[i] for i in members] for n, members in downstream_members(network, objective).items()}
    return {name: sum(found[1:], found[0]) if found else None for name, found in reached.items()}


def scored(network: Network, trace: Trace, name: str, value: Float[Array, "*batch"] | None) -> Float[Array, "*logits"]:
    """Returns REINFORCE's credit: the score of a layer times a value, 0 for None."""
    logits = trace.logits[name]
    if value is None:
        return jnp.zeros_like(logits)
    return network.layers[name].score(logits, trace[name]) * over_logits(value, logits)


def over_logits(value: Shaped[Array, "*batch"], logits: Float[Array, "*logits"]) -> Array:
    """Returns the value with trailing axes of 1, to be multiplied with logits."""
    return value.reshape(value.shape + (1,) * (logits.ndim - value.ndim))

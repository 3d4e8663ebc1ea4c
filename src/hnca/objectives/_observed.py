"""Whether a layer can score values: those of another layer by their families, those of an input by what they are."""

import math

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Num, Shaped

from hnca.network import Network
from hnca.units import Bernoulli, Categorical, Layer

# Of the distance between a Bernoulli unit's two values: what rounding may do.
_TOLERANCE = 1e-3


def check_scored(owner: str, layer: Layer, network: Network, name: str) -> None:
    """Raises a ValueError unless the layer's family gives a probability to what `name` takes.

    Args:
        owner: who asks, for the message.
        layer: gives the probability.
        network: where `name` is.
        name: the layer or input that is scored.
    """
    shapes = dict(network.inputs)
    if name not in shapes and name not in network.layers:
        known = sorted([*shapes, *network.layers])
        raise ValueError(f"{owner}: value={name!r}; expected a layer or an input of the network, {known!r}.")
    size = math.prod(shapes[name]) if name in shapes else network.layers[name].units
    if layer.units != size:
        shape = f" numbers (shape {shapes[name]})" if name in shapes else " units"
        raise ValueError(
            f"{owner}: the layer that scores {name!r} has {layer.units} units; expected its {size}{shape}."
        )
    if name in network.layers:
        ours, theirs = (_family(one) for one in (layer, network.layers[name]))
        if ours != theirs:
            raise ValueError(f"{owner}: the layer that scores {name!r} is {ours}; expected its family, {theirs}.")


def observed(
    owner: str, layer: Layer, values: Shaped[Array, "..."], batch_shape: tuple[int, ...], dtype: DTypeLike
) -> tuple[Num[Array, "*batch units"], Bool[Array, "*batch units"]]:
    """Returns an input's numbers, a unit each, and whether the layer's units can take them.

    A Bernoulli unit is scored at what lies between its two values too (a grey pixel): the log-probability is linear.

    Raises:
        ValueError: outside of `jax.jit`, where values are known, if there are some that the units cannot take.
    """
    flat = values.reshape(*batch_shape, layer.units)
    number = flat if jnp.issubdtype(flat.dtype, jnp.floating) else flat.astype(dtype)
    lowest, highest, slack = _range(layer)
    possible = (number >= lowest - slack) & (number <= highest + slack)
    if isinstance(layer, Categorical):
        possible &= number == jnp.round(number)
    if not isinstance(possible, jax.core.Tracer) and not bool(jnp.all(possible)):
        found = f"{float(jnp.min(number)):g} to {float(jnp.max(number)):g}"
        raise ValueError(f"{owner}: the values are {found}; expected what {_family(layer)} takes.")
    return flat.astype(jnp.int32) if isinstance(layer, Categorical) else number.astype(dtype), possible


def _range(layer: Layer) -> tuple[float, float, float]:
    """Returns the least and the largest value of a unit, and by how much rounding may pass them."""
    if isinstance(layer, Bernoulli):
        lowest, highest = layer.values
        return lowest, highest, _TOLERANCE * (highest - lowest)
    return (0.0, layer.categories - 1.0, 0.0) if isinstance(layer, Categorical) else (-math.inf, math.inf, 0.0)


def _family(layer: Layer) -> str:
    if isinstance(layer, Bernoulli):
        return f"Bernoulli with values {layer.values}"
    if isinstance(layer, Categorical):
        return f"Categorical with {layer.categories} categories (integers from 0)"
    return type(layer).__name__

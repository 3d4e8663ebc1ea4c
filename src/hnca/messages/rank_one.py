"""Contrasts through a dense first stage: a unit that changes adds one row of its weight to what that stage returns.

Only what comes after is evaluated anew: the rest of a `Sequential`, or, where the layers are joined by `Dense` alone,
nothing but the quantity itself.
"""

from collections.abc import Callable
from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from hnca.conditionals import Dense, Sequential
from hnca.messages.enumeration import contrast_of_changes
from hnca.network import Network, Trace
from hnca.units import Conditional, Layer


def begins_with_dense(layer: Layer) -> bool:
    """Returns whether the layer's conditional is `Dense`, or a `Sequential` whose first stage is."""
    return isinstance(_first_stage(layer), Dense)


def rank_one_contrast(
    layer: Layer,
    quantity: Callable[[Array], Float[Array, "*batch units"]],
    network: Network,
    trace: Trace,
    parent: str,
) -> Float[Array, "*logits"]:
    """Returns the contrast of a sum over a layer's units of a function of their logits, for one of its parents.

    Costs `units * (alternatives - 1)` evaluations of what comes after the first stage. Arguments as for
    `enumerated_contrast`; the layer has to `begins_with_dense`.
    """
    conditional, above = layer.conditional, network.layers[parent]
    first = cast(Dense, _first_stage(layer))
    features = tuple(network.features(trace.values, name) for name in first.parents)
    hidden = first(features, trace.batch_shape)
    encoded = network.features(trace.values, parent)
    encoded = encoded.reshape(*trace.batch_shape, above.units, encoded.shape[-1] // above.units)
    rows = first.weight(parent).reshape(above.units, encoded.shape[-1], -1)

    def total(hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch"]:
        after = conditional.after_first(hidden, trace.batch_shape) if isinstance(conditional, Sequential) else hidden
        return jnp.sum(quantity(layer.as_logits(after)), axis=-1)

    def had_unit_been(unit: Int[Array, ""], value: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
        change = above.encode(value[..., None], hidden.dtype) - encoded[..., unit, :]
        return total(hidden + change @ rows[unit])

    return contrast_of_changes(had_unit_been, total(hidden), network, trace, parent)


def _first_stage(layer: Layer) -> Conditional:
    conditional = layer.conditional
    return conditional.first if isinstance(conditional, Sequential) else conditional

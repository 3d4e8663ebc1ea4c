"""The contrast of any function for any layer, by evaluating it anew for every other value of every unit."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from hnca._precision import in_full_precision
from hnca.messages.changes import Changes, contrast_of_all
from hnca.network import Network, Trace
from hnca.units import Layer

Quantity = Callable[[Array], Float[Array, "*batch units"]]


@in_full_precision
def enumerated_contrast(
    layer: Layer, quantity: Quantity, network: Network, trace: Trace, parent: str
) -> Float[Array, "*logits"]:
    """Returns the contrast of a sum over a layer's units of a function of their logits, for one of its parents.

    Costs `units * (alternatives - 1)` evaluations of the layer. Exact for every family and function, and the reference
    for the faster ways.

    Args:
        layer: the layer, of the network or not.
        quantity: from the layer's logits to one number a unit, such as a log-probability or an entropy.
        network: whose layer the parent is.
        trace: the values of the layer's parents.
        parent: the layer whose units are changed.
    """
    return contrast_of_all(enumerated_changes(layer, quantity, network, trace, parent), network, trace, parent)


def enumerated_changes(layer: Layer, quantity: Quantity, network: Network, trace: Trace, parent: str) -> Changes:
    """Returns the changes of that sum; arguments as for `enumerated_contrast`."""
    return changes_by_enumeration(_total_of(layer, quantity, network, trace), trace, parent)


def _total_of(
    layer: Layer, quantity: Quantity, network: Network, trace: Trace
) -> Callable[[Mapping[str, Array]], Float[Array, "*batch"]]:
    """Returns that sum as a function of the values of the layer's parents; arguments as for `enumerated_contrast`."""

    def total(values: Mapping[str, Array]) -> Float[Array, "*batch"]:
        features = tuple(network.features(values, name) for name in layer.conditional.parents)
        return jnp.sum(quantity(layer.logits(features, trace.batch_shape)), axis=-1)

    return total


@in_full_precision
def contrast_by_enumeration(
    function: Callable[[Mapping[str, Array]], Float[Array, "*batch"]], network: Network, trace: Trace, parent: str
) -> Float[Array, "*logits"]:
    """Returns the contrast of any function of the trace's values, for one layer.

    Costs `units * (alternatives - 1)` evaluations.
    """
    return contrast_of_all(changes_by_enumeration(function, trace, parent), network, trace, parent)


def changes_by_enumeration(
    function: Callable[[Mapping[str, Array]], Float[Array, "*batch"]], trace: Trace, parent: str
) -> Changes:
    """Returns the changes of any function of the trace's values, for one layer."""
    values = trace[parent]

    def of_values(other: Num[Array, "*values"]) -> Float[Array, "*batch"]:
        return function({**trace.values, parent: other})

    def had_unit_been(unit: Int[Array, ""], value: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
        return of_values(values.at[..., unit].set(value))

    def had_own_unit_been(unit: Int[Array, "*batch"], value: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
        units = jnp.arange(values.shape[-1], dtype=unit.dtype).reshape((1,) * unit.ndim + (-1,))
        return of_values(jnp.where(units == unit[..., None], value[..., None].astype(values.dtype), values))

    return Changes(of_values, had_unit_been, had_own_unit_been)

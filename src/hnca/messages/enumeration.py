"""The contrast of any function for any layer, by evaluating it anew for every other value of every unit."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from hnca.network import Network, Trace
from hnca.units import Layer

# At 4 bytes each 16 MiB: a few traces of the usual sizes, and no more than a cache can make use of.
_ELEMENTS = 2**22


def enumerated_contrast(
    layer: Layer,
    quantity: Callable[[Array], Float[Array, "*batch units"]],
    network: Network,
    trace: Trace,
    parent: str,
) -> Float[Array, "*logits"]:
    """Returns the contrast of a sum over a layer's units of a function of their logits, for one of its parents.

    Costs `units * (alternatives - 1)` evaluations of the layer (see `contrast_by_enumeration`).

    Args:
        layer: the layer, of the network or not.
        quantity: from the layer's logits to one number a unit, such as a log-probability or an entropy.
        network: whose layer the parent is.
        trace: the values of the layer's parents.
        parent: the layer whose units are changed.
    """

    def total(values: Mapping[str, Array]) -> Float[Array, "*batch"]:
        features = tuple(network.features(values, name) for name in layer.conditional.parents)
        return jnp.sum(quantity(layer.logits(features, trace.batch_shape)), axis=-1)

    return contrast_by_enumeration(total, network, trace, parent)


def contrast_by_enumeration(
    function: Callable[[Mapping[str, Array]], Float[Array, "*batch"]], network: Network, trace: Trace, parent: str
) -> Float[Array, "*logits"]:
    """Returns the contrast of any function of the trace's values, for one layer.

    Costs `units * (alternatives - 1)` evaluations. Exact for every family and function, and the reference for the
    faster ways.
    """
    values = trace[parent]

    def had_unit_been(unit: Int[Array, ""], value: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
        return function({**trace.values, parent: values.at[..., unit].set(value)})

    return contrast_of_changes(had_unit_been, function(trace.values), network, trace, parent)


def contrast_of_changes(
    had_unit_been: Callable[[Int[Array, ""], Num[Array, "*batch"]], Float[Array, "*batch"]],
    here: Float[Array, "*batch"],
    network: Network,
    trace: Trace,
    parent: str,
) -> Float[Array, "*logits"]:
    """Returns the contrast of what is known for a unit with another value, as many at a time as `_ELEMENTS` allow.

    Args:
        had_unit_been: from the index of a unit and its value in every example, all else as in the trace.
        here: what it is with all units as they are.
        network: whose layer the parent is.
        trace: the values taken.
        parent: the layer whose units are changed.
    """
    above, values = network.layers[parent], trace[parent]
    if here.size == 0:
        return jnp.zeros_like(trace.logits[parent])  # of an empty batch, which cannot be divided into parts
    count = above.alternatives
    alternatives = above.alternative_values(trace.logits[parent].dtype)
    taken = above.index(values).astype(jnp.result_type(int))

    def further_on(unit_and_step: tuple[Array, Array]) -> Float[Array, "*batch"]:
        unit, step = unit_and_step
        return had_unit_been(unit, alternatives[(taken[..., unit] + step) % count])

    steps = jnp.tile(jnp.arange(1, count), above.units)
    evaluations = jnp.repeat(jnp.arange(above.units), count - 1), steps
    results = jax.lax.map(further_on, evaluations, batch_size=_at_a_time(trace, len(steps)))
    others = jnp.moveaxis(results.reshape(above.units, count - 1, *trace.batch_shape), (0, 1), (-2, -1))
    by_step = jnp.concatenate([jnp.broadcast_to(here[..., None, None], (*others.shape[:-1], 1)), others], axis=-1)
    steps_to = (over_units(jnp.arange(count), values) - taken[..., None]) % count
    return above.contrast(jnp.take_along_axis(by_step, steps_to, axis=-1), values)


def over_units(alternatives: Num[Array, " alternatives"], values: Num[Array, "*batch units"]) -> Array:
    """Returns the alternatives with an axis of 1 for every axis of the values."""
    return alternatives.reshape((1,) * values.ndim + alternatives.shape)


def _at_a_time(trace: Trace, evaluations: int) -> int:
    """Returns how many evaluations may be held together, judging by the size of what one of them reads."""
    size = sum(leaf.size for leaf in jax.tree.leaves(trace))
    return max(1, min(evaluations, _ELEMENTS // max(size, 1)))

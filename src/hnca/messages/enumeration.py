"""The contrast of any layer for any parent, by evaluating the layer anew for every value of every parent unit."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

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

    Costs `units * alternatives` evaluations of the layer (see `contrast_by_enumeration`).

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

    Costs `units * alternatives` evaluations, as many at a time as `_ELEMENTS` allow. Exact for every family and
    function, and the reference for the faster ways.
    """
    above, values = network.layers[parent], trace[parent]
    alternatives = above.alternative_values(trace.logits[parent].dtype)

    def had_unit_been(unit_and_value: tuple[Array, Array]) -> Float[Array, "*batch"]:
        unit, value = unit_and_value
        return function({**trace.values, parent: values.at[..., unit].set(value)})

    units = jnp.repeat(jnp.arange(above.units), above.alternatives)
    evaluations = units, jnp.tile(alternatives, above.units)
    results = jax.lax.map(had_unit_been, evaluations, batch_size=_at_a_time(trace, len(units)))
    results = results.reshape(above.units, above.alternatives, *trace.batch_shape)
    return above.contrast(jnp.moveaxis(results, (0, 1), (-2, -1)), values)


def _at_a_time(trace: Trace, evaluations: int) -> int:
    """Returns how many evaluations may be held together, judging by the size of what one of them reads."""
    size = sum(leaf.size for leaf in jax.tree.leaves(trace))
    return max(1, min(evaluations, _ELEMENTS // max(size, 1)))

"""The contrast of any layer for any parent, by evaluating the layer anew for every value of every parent unit."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.network import Network, Trace
from hnca.units import Layer


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

    Costs `units * alternatives` evaluations, one at a time, so its memory is that of one. Exact for every family and
    function, and the reference for the faster ways.
    """
    above, values = network.layers[parent], trace[parent]
    alternatives = above.alternative_values(trace.logits[parent].dtype)

    def had_unit_been(unit_and_value: tuple[Array, Array]) -> Float[Array, "*batch"]:
        unit, value = unit_and_value
        return function({**trace.values, parent: values.at[..., unit].set(value)})

    units = jnp.repeat(jnp.arange(above.units), above.alternatives)
    results = jax.lax.map(had_unit_been, (units, jnp.tile(alternatives, above.units)))
    results = results.reshape(above.units, above.alternatives, *trace.batch_shape)
    return above.contrast(jnp.moveaxis(results, (0, 1), (-2, -1)), values)

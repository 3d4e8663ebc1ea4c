"""Contrasts for a layer whose units read one unit of a parent each: all units of the parent are changed at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._precision import in_full_precision
from hnca.network import Network, Trace
from hnca.units import Layer


@in_full_precision
def contrast_by_unit(
    layer: Layer,
    quantity: Callable[[Array], Float[Array, "*batch units"]],
    network: Network,
    trace: Trace,
    parent: str,
) -> Float[Array, "*logits"]:
    """Returns the contrast of a sum over a layer's units of a function of their logits, for one of its parents.

    Costs one evaluation of the layer for every alternative: what a unit of the layer comes to says nothing of other
    units of the parent than the one it reads.

    Args:
        layer: whose conditional `reads_one_unit`.
        quantity: from the layer's logits to one number a unit, such as a log-probability.
        network: whose layer the parent is.
        trace: the values of the layer's parents.
        parent: the layer whose units are changed.
    """
    above, values, batch = network.layers[parent], trace[parent], trace.batch_shape
    features = tuple(network.features(trace.values, name) for name in layer.conditional.parents)
    logits, reads = layer.conditional.logits_by_unit(parent, features, batch)
    reads = reads.reshape(layer.units, -1)[:, 0]
    per_unit = () if logits.shape[-1] == layer.units else (logits.shape[-1] // layer.units,)

    def had_all_been(logits: Float[Array, "*batch out_features"]) -> Float[Array, "*batch units"]:
        found = quantity(logits.reshape(*batch, layer.units, *per_unit))
        # A unit that reads none of them is of a number that there is not.
        return jnp.zeros(values.shape, found.dtype).at[..., reads].add(found, mode="drop")

    return above.contrast(jax.vmap(had_all_been, in_axes=-2, out_axes=-1)(logits), values)

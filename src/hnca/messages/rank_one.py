"""Changes through a dense first stage: a unit that changes adds one row of its weight to what that stage returns.

Only what comes after is evaluated anew: the rest of a `Sequential`, or, where the layers are joined by `Dense` alone,
nothing but the quantity itself.
"""

from collections.abc import Callable
from typing import cast

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from hnca._precision import in_full_precision
from hnca.conditionals import Dense, Sequential
from hnca.messages.changes import Changes, of_own_unit
from hnca.messages.enumeration import Quantity
from hnca.network import Network, Trace
from hnca.units import Categorical, Conditional, Layer


def begins_with_dense(layer: Layer) -> bool:
    """Returns whether the layer's conditional is `Dense`, or a `Sequential` whose first stage is."""
    return isinstance(_first_stage(layer), Dense)


def rank_one_changes(layer: Layer, quantity: Quantity, network: Network, trace: Trace, parent: str) -> Changes:
    """Returns the changes of a sum over a layer's units of a function of their logits, for one of its parents.

    An evaluation is one of what comes after the first stage. Arguments as for `enumerated_contrast`; the layer has to
    `begins_with_dense`.
    """
    conditional = layer.conditional
    first = cast(Dense, _first_stage(layer))

    def hidden(values: Num[Array, "*values"]) -> Float[Array, "*batch hidden"]:
        features = tuple(network.features({**trace.values, parent: values}, name) for name in first.parents)
        return first(features, trace.batch_shape)

    def after(hidden: Float[Array, "*batch hidden"]) -> Float[Array, "*batch"]:
        last = conditional.after_first(hidden, trace.batch_shape) if isinstance(conditional, Sequential) else hidden
        return jnp.sum(quantity(layer.as_logits(last)), axis=-1)

    return changes_by_rows(hidden, after, first.weight(parent), network, trace, parent)


@in_full_precision
def changes_by_rows(
    hidden: Callable[[Num[Array, "*values"]], Float[Array, "*batch hidden"]],
    after: Callable[[Float[Array, "*batch hidden"]], Float[Array, "*batch"]],
    weight: Float[Array, "features hidden"],
    network: Network,
    trace: Trace,
    parent: str,
) -> Changes:
    """Returns the changes of `after(hidden(values))`, where `hidden` is affine in what is seen of the layer.

    Args:
        hidden: from the layer's values.
        after: from there to the sum.
        weight: what each of the layer's features adds to `hidden`, the same for all examples.
        network: whose layer the parent is.
        trace: the values taken.
        parent: the layer whose units are changed.
    """
    above, values = network.layers[parent], trace[parent]
    here = hidden(values)
    encoded = network.features(trace.values, parent)
    encoded = encoded.reshape(*trace.batch_shape, above.units, encoded.shape[-1] // above.units)
    rows = weight.reshape(above.units, encoded.shape[-1], -1)

    def had_unit_been(unit: Int[Array, ""], value: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
        change = above.encode(value[..., None], here.dtype) - encoded[..., unit, :]
        return after(here + change @ rows[unit])

    def had_own_unit_been(unit: Int[Array, "*batch"], value: Num[Array, "*batch"]) -> Float[Array, "*batch"]:
        # What each alternative adds is tabled, so that of a category one row is read and not all: a category's
        # row is that of its feature, and not found by a product with all of them.
        table = _table(above, weight, here.dtype)
        there, taken = above.index(value[..., None])[..., 0], of_own_unit(above.index(values), unit)
        return after(here + table[unit, there] - table[unit, taken])

    return Changes(lambda other: after(hidden(other)), had_unit_been, had_own_unit_been)


def _table(
    above: Layer, weight: Float[Array, "features hidden"], dtype: jnp.dtype
) -> Float[Array, "units alternatives hidden"]:
    if isinstance(above, Categorical):
        return above.weight_by_category(weight)
    alternatives = above.encode(above.alternative_values(dtype)[:, None], dtype)
    return jnp.einsum("af,ufh->uah", alternatives, weight.reshape(above.units, alternatives.shape[-1], -1))


def _first_stage(layer: Layer) -> Conditional:
    conditional = layer.conditional
    return conditional.first if isinstance(conditional, Sequential) else conditional

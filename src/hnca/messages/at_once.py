"""The contrasts of one sum for several layers, evaluated side by side: less to compile where the layers are many."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from hnca._precision import in_full_precision
from hnca.messages.batching import at_a_time
from hnca.messages.changes import contrast_of_results, evaluations_of, mapped, other_values
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Categorical, Layer


class _Alike(NamedTuple):
    """Layers of one family, all units of which are taken for those of one layer.

    Attributes:
        names: the layers.
        above: one of them.
        values: of all units, `[*batch, units]`.
        ends: where the units of each layer end, but for the last one.
        changed: the values with one unit changed, for every other value of every unit.
    """

    names: tuple[str, ...]
    above: Layer
    values: Num[Array, "*batch units"]
    ends: tuple[int, ...]
    changed: Num[Array, "count *batch units"]


@in_full_precision
def contrasts_at_once(
    function: Callable[[Mapping[str, Array]], Float[Array, "*batch"]],
    network: Network,
    trace: Trace,
    parents: Sequence[str],
) -> dict[str, Float[Array, "*logits"]]:
    """Returns the contrasts of a function of the trace's values, for each of some layers by itself.

    They are what `contrast_by_enumeration` returns for one layer after the other. But the function is traced and
    compiled twice, and not twice a layer; in return all of it is evaluated for every change, also what reads none of
    the units that are changed.

    Args:
        function: from the values by name to one number an example.
        network: whose layers the parents are.
        trace: the values taken.
        parents: the layers whose units are changed.
    """
    here = function(trace.values)
    if here.size == 0:
        return {parent: jnp.zeros_like(trace.logits[parent]) for parent in parents}
    groups = _groups(network, trace, parents)
    counts = [len(group.changed) for group in groups]
    ends = np.cumsum(counts)
    total = int(ends[-1])
    stacked: dict[str, Array] = {}
    for group, count, end in zip(groups, counts, ends, strict=True):
        before, after = (jnp.broadcast_to(group.values, (n, *group.values.shape)) for n in (end - count, total - end))
        among_all = jnp.concatenate([before, group.changed, after])
        stacked |= dict(zip(group.names, jnp.split(among_all, group.ends, axis=-1), strict=True))
    results = mapped(lambda other: function({**trace.values, **other}), stacked, total, at_a_time(trace, total))
    found: dict[str, Array] = {}
    for group, own in zip(groups, jnp.split(results, ends[:-1]), strict=True):
        contrast = contrast_of_results(here, own, group.above, group.values)
        pieces = jnp.split(contrast, group.ends, axis=group.values.ndim - 1)
        found |= dict(zip(group.names, pieces, strict=True))
    return found


def _groups(network: Network, trace: Trace, parents: Sequence[str]) -> list[_Alike]:
    """Returns the parents, those together that differ in nothing but the number of their units."""
    families: dict[object, list[str]] = {}
    for name in parents:
        layer, values, dtype = network.layers[name], trace[name], trace.logits[name].dtype
        family: object = name
        if isinstance(layer, Bernoulli):
            family = (layer.values, values.dtype, dtype)
        elif isinstance(layer, Categorical):
            family = (layer.alternatives, values.dtype, dtype)
        families.setdefault(family, []).append(name)
    return [_alike(network, trace, tuple(names)) for names in families.values()]


def _alike(network: Network, trace: Trace, names: tuple[str, ...]) -> _Alike:
    above, each = network.layers[names[0]], [trace[name] for name in names]
    values = jnp.concatenate(each, axis=-1)
    ends = tuple(int(end) for end in np.cumsum([units.shape[-1] for units in each])[:-1])
    value_of = other_values(above, values, trace.logits[names[0]].dtype)
    changed = jax.vmap(lambda unit, step: values.at[..., unit].set(value_of(unit, step).astype(values.dtype)))
    return _Alike(names, above, values, ends, changed(*evaluations_of(above, values)))

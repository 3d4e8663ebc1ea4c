"""The contrasts of one sum for several layers, evaluated side by side: less to compile where the layers are many."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Num

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
        dtype: of their logits.
        ends: where the units of each layer end, but for the last one.
    """

    names: tuple[str, ...]
    above: Layer
    values: Num[Array, "*batch units"]
    dtype: DTypeLike
    ends: tuple[int, ...]

    @property
    def evaluations(self) -> int:
        """How many other values all units have."""
        return self.values.shape[-1] * (self.above.alternatives - 1)


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
    ends = np.cumsum([group.evaluations for group in groups])
    total = int(ends[-1])
    evaluations = [
        _among_all(group, int(end) - group.evaluations, total) for group, end in zip(groups, ends, strict=True)
    ]
    further_on = [other_values(group.above, group.values, group.dtype) for group in groups]

    def of_evaluation(unit_and_step: list[tuple[Array, Array]]) -> Float[Array, "*batch"]:
        changed: dict[str, Array] = {}
        for group, value_of, (unit, step) in zip(groups, further_on, unit_and_step, strict=True):
            # A unit beyond the last is one of another group, and nothing is changed here.
            value = value_of(unit, step).astype(group.values.dtype)
            values = group.values.at[..., unit].set(value, mode="drop")
            changed |= dict(zip(group.names, jnp.split(values, group.ends, axis=-1), strict=True))
        return function({**trace.values, **changed})

    results = mapped(of_evaluation, evaluations, total, at_a_time(trace, total))
    found: dict[str, Array] = {}
    for group, own in zip(groups, jnp.split(results, ends[:-1]), strict=True):
        contrast = contrast_of_results(here, own, group.above, group.values)
        pieces = jnp.split(contrast, group.ends, axis=group.values.ndim - 1)
        found |= dict(zip(group.names, pieces, strict=True))
    return found


def _among_all(group: _Alike, start: int, total: int) -> tuple[Int[Array, " total"], Int[Array, " total"]]:
    """Returns a group's evaluations in their place among all; in the others a unit that it has not is changed."""
    units, steps = evaluations_of(group.above, group.values)
    around = (start, total - start - group.evaluations)
    return jnp.pad(units, around, constant_values=group.values.shape[-1]), jnp.pad(steps, around)


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
    each = [trace[name] for name in names]
    ends = tuple(int(end) for end in np.cumsum([units.shape[-1] for units in each])[:-1])
    dtype = trace.logits[names[0]].dtype
    return _Alike(names, network.layers[names[0]], jnp.concatenate(each, axis=-1), dtype, ends)

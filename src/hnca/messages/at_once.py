"""Sums evaluated side by side, for the units of all their layers: less to compile where layers and sums are many."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Num

from hnca._precision import in_full_precision
from hnca.messages.batching import at_a_time
from hnca.messages.changes import contrast_of_results, evaluations_of, mapped, other_values
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Categorical, Layer

Steps = Mapping[Hashable, int]
"""How many operations an example each step of an evaluation takes; a step that several sums share has one key."""

MOST_OPERATIONS = 2**15
"""Up to how many operations an example in all, evaluations are made side by side."""


class SmallSum(NamedTuple):
    """A sum that costs little to evaluate anew.

    Attributes:
        function: from the values by layer to one number an example.
        parents: the layers whose units it is to be evaluated for.
        steps: what an evaluation takes.
    """

    function: Callable[[Mapping[str, Array]], Float[Array, "*batch"]]
    parents: tuple[str, ...]
    steps: Steps


class _Together(NamedTuple):
    """Sums that are evaluated side by side.

    Attributes:
        places: of the sums among all.
        parents: whose units any of them is evaluated for.
        steps: of all of them.
        operations: what all evaluations take, an example.
    """

    places: tuple[int, ...]
    parents: tuple[str, ...]
    steps: Steps
    operations: int


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


def contrasts_at_once(
    sums: Sequence[SmallSum], network: Network, trace: Trace
) -> list[dict[str, Float[Array, "*logits"]]]:
    """Returns the contrasts of sums, for each of their layers by itself.

    They are what `contrast_by_enumeration` returns for one sum and layer after the other. But sums are evaluated
    together, for the units of all their layers, where that is no more work than each by itself: they are traced and
    compiled twice, and not twice a layer, and what they share is computed once.

    Args:
        sums: in any order.
        network: whose layers the parents are.
        trace: the values taken.
    """
    found: list[dict[str, Array]] = [{} for _ in sums]
    for together in _grouped(sums, network, trace):
        members = [sums[place] for place in together.places]
        contrasts = _contrasts([each.function for each in members], network, trace, together.parents)
        for place, each, of_all in zip(together.places, members, contrasts, strict=True):
            found[place] = {parent: of_all[parent] for parent in each.parents}
    return found


def _grouped(sums: Sequence[SmallSum], network: Network, trace: Trace) -> list[_Together]:
    """Returns which sums are evaluated together: those of which that is no more work than apart, and not too much."""
    groups: list[_Together] = []
    for place, each in enumerate(sums):
        if not each.parents:
            continue  # nobody asks for it
        alone = _joined(network, trace, (place,), each.parents, each.steps)
        for number, group in enumerate(groups):
            parents = tuple(dict.fromkeys((*group.parents, *each.parents)))
            joined = _joined(network, trace, (*group.places, place), parents, {**group.steps, **each.steps})
            if joined.operations <= min(group.operations + alone.operations, MOST_OPERATIONS):
                groups[number] = joined
                break
        else:
            groups.append(alone)
    return groups


def _joined(
    network: Network, trace: Trace, places: tuple[int, ...], parents: tuple[str, ...], steps: Steps
) -> _Together:
    evaluations = sum(trace[name].shape[-1] * (network.layers[name].alternatives - 1) for name in parents)
    return _Together(places, parents, steps, evaluations * sum(steps.values()))


@in_full_precision
def _contrasts(
    functions: Sequence[Callable[[Mapping[str, Array]], Float[Array, "*batch"]]],
    network: Network,
    trace: Trace,
    parents: Sequence[str],
) -> list[dict[str, Float[Array, "*logits"]]]:
    """Returns the contrasts of every function for every parent, all of them evaluated for every change of a unit."""
    each_here = [function(trace.values) for function in functions]
    if math.prod(trace.batch_shape) == 0:
        return [{parent: jnp.zeros_like(trace.logits[parent]) for parent in parents} for _ in functions]
    dtypes = [here.dtype for here in each_here]
    here = _stacked(each_here, dtypes)
    groups = _families(network, trace, parents)
    ends = np.cumsum([group.evaluations for group in groups])
    total = int(ends[-1])
    evaluations = [
        _among_all(group, int(end) - group.evaluations, total) for group, end in zip(groups, ends, strict=True)
    ]
    further_on = [other_values(group.above, group.values, group.dtype) for group in groups]

    def of_evaluation(unit_and_step: list[tuple[Array, Array]]) -> dict[str, Array]:
        changed: dict[str, Array] = {}
        for group, value_of, (unit, step) in zip(groups, further_on, unit_and_step, strict=True):
            # A unit beyond the last is one of another group, and nothing is changed here.
            value = value_of(unit, step).astype(group.values.dtype)
            values = group.values.at[..., unit].set(value, mode="drop")
            changed |= dict(zip(group.names, jnp.split(values, group.ends, axis=-1), strict=True))
        return _stacked([function({**trace.values, **changed}) for function in functions], dtypes)

    results = mapped(of_evaluation, evaluations, total, at_a_time(trace, total))
    found: list[dict[str, Array]] = [{} for _ in functions]
    for dtype, own_results in results.items():
        own = [place for place, of_place in enumerate(dtypes) if str(of_place) == dtype]
        for group, of_group in zip(groups, jnp.split(own_results, ends[:-1]), strict=True):
            contrast_of = partial(contrast_of_results, above=group.above, values=group.values)
            contrasts = jax.vmap(contrast_of, in_axes=(0, 1))(here[dtype], of_group)
            pieces = jnp.split(contrasts, group.ends, axis=group.values.ndim)
            for parent, piece in zip(group.names, pieces, strict=True):
                for row, place in enumerate(own):
                    found[place][parent] = jax.lax.index_in_dim(piece, row, keepdims=False)
    return found


def _stacked(each: Sequence[Float[Array, "*batch"]], dtypes: Sequence[DTypeLike]) -> dict[str, Array]:
    """Returns the sums of each dtype side by side, `[sums, *batch]`: in one another would lose digits."""
    names = list(map(str, dtypes))
    return {
        name: jnp.stack([of_sum for of_sum, own in zip(each, names, strict=True) if own == name])
        for name in dict.fromkeys(names)
    }


def _among_all(group: _Alike, start: int, total: int) -> tuple[Int[Array, " total"], Int[Array, " total"]]:
    """Returns a group's evaluations in their place among all; in the others a unit that it has not is changed."""
    units, steps = evaluations_of(group.above, group.values)
    around = (start, total - start - group.evaluations)
    return jnp.pad(units, around, constant_values=group.values.shape[-1]), jnp.pad(steps, around)


def _families(network: Network, trace: Trace, parents: Sequence[str]) -> list[_Alike]:
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

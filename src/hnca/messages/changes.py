"""Sums in which nothing is known of a layer's units but by evaluating them anew: for all units, some, or by a guess."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Num, PyTree

from hnca._precision import in_full_precision
from hnca.messages.batching import at_a_time
from hnca.network import Network, Trace
from hnca.units import Bernoulli, Categorical, Layer

Sum = Float[Array, "*batch"]
Result = TypeVar("Result")


class Changes(NamedTuple):
    """A sum, one number an example, as it depends on the units of one layer, all else as in a trace.

    Attributes:
        of_values: from the layer's values, relaxed ones too, by which it can be differentiated.
        had_unit_been: from the index of a unit, the same in all examples, and its value in each.
        had_own_unit_been: the same with an index for every example, `[*batch]`.
    """

    of_values: Callable[[Num[Array, "*values"]], Sum]
    had_unit_been: Callable[[Int[Array, ""], Num[Array, "*batch"]], Sum]
    had_own_unit_been: Callable[[Int[Array, "*batch"], Num[Array, "*batch"]], Sum]

    def mapped(self, function: Callable[[Sum], Sum]) -> "Changes":
        """Returns the changes of a function of the sum."""
        return Changes(
            lambda values: function(self.of_values(values)),
            lambda unit, value: function(self.had_unit_been(unit, value)),
            lambda unit, value: function(self.had_own_unit_been(unit, value)),
        )


@in_full_precision
def contrast_of_all(changes: Changes, network: Network, trace: Trace, parent: str) -> Float[Array, "*logits"]:
    """Returns the contrast of the sum, evaluated for every other value of every unit, as many at a time as fit.

    Args:
        changes: of the sum by the units of `parent`.
        network: whose layer the parent is.
        trace: the values taken.
        parent: the layer whose units are changed.
    """
    above, values = network.layers[parent], trace[parent]
    here = changes.of_values(values)
    if here.size == 0:
        return jnp.zeros_like(trace.logits[parent])  # of an empty batch, which cannot be divided into parts
    further_on = other_values(above, values, trace.logits[parent].dtype)
    evaluations = evaluations_of(above, values)
    count = len(evaluations[0])
    results = mapped(lambda e: changes.had_unit_been(e[0], further_on(*e)), evaluations, count, at_a_time(trace, count))
    return contrast_of_results(here, results, above, values)


def evaluations_of(
    above: Layer, values: Num[Array, "*batch units"]
) -> tuple[Int[Array, " count"], Int[Array, " count"]]:
    """Returns which unit is changed in each evaluation, and to the how-manieth value after the one it has taken.

    Args:
        above: of what family the units are.
        values: what they have taken.
    """
    units, further = values.shape[-1], above.alternatives - 1
    return jnp.repeat(jnp.arange(units), further), jnp.tile(jnp.arange(1, further + 1), units)


def other_values(
    above: Layer, values: Num[Array, "*batch units"], dtype: DTypeLike
) -> Callable[[Int[Array, ""], Int[Array, ""]], Num[Array, "*batch"]]:
    """Returns the function from such an evaluation to the unit's value in each example, the first after the last."""
    alternatives = above.alternative_values(dtype)
    taken = above.index(values).astype(jnp.result_type(int))
    return lambda unit, step: alternatives[(taken[..., unit] + step) % above.alternatives]


def contrast_of_results(
    here: Sum, results: Float[Array, " count *batch"], above: Layer, values: Num[Array, "*batch units"]
) -> Float[Array, "*logits"]:
    """Returns the contrast of a sum, given what it is and what it would be in each of `evaluations_of` the units."""
    count = above.alternatives
    others = jnp.moveaxis(results.reshape(values.shape[-1], count - 1, *here.shape), (0, 1), (-2, -1))
    by_step = jnp.concatenate([jnp.broadcast_to(here[..., None, None], (*others.shape[:-1], 1)), others], axis=-1)
    taken = above.index(values).astype(jnp.result_type(int))
    steps_to = (over_units(jnp.arange(count), values) - taken[..., None]) % count
    return above.contrast(jnp.take_along_axis(by_step, steps_to, axis=-1), values)


@in_full_precision
def changes_at(
    changes: Changes,
    network: Network,
    trace: Trace,
    parent: str,
    units: Int[Array, " count *batch"],
    steps: Int[Array, " count *batch"],
) -> Float[Array, " count *batch"]:
    """Returns by how much the sum would change, had some units of each example had another value, one at a time.

    Args:
        changes: of the sum by the units of `parent`.
        network: whose layer the parent is.
        trace: the values taken.
        parent: the layer whose units are changed.
        units: which unit of each example is changed, in each evaluation.
        steps: to the how-manieth alternative after the one it has taken, from 1, beginning anew after the last.
    """
    above, values = network.layers[parent], trace[parent]
    here = changes.of_values(values)
    if here.size == 0:
        return jnp.zeros(units.shape, here.dtype)
    alternatives = above.alternative_values(trace.logits[parent].dtype)

    def further_on(unit_and_step: tuple[Array, Array]) -> Float[Array, "*batch"]:
        unit, step = unit_and_step
        taken = of_own_unit(above.index(values), unit).astype(step.dtype)
        return changes.had_own_unit_been(unit, alternatives[(taken + step) % above.alternatives])

    return mapped(further_on, (units, steps), len(units), at_a_time(trace, len(units))) - here[None]


@in_full_precision
def slopes(changes: Changes, network: Network, trace: Trace, parent: str) -> Float[Array, "*batch units alternatives"]:
    """Returns by how much the sum would change to first order, had each unit each other value.

    The derivative by all units' values, one backpropagation, times the change; 0 for the value taken, where the
    derivative is not finite, and for families of which there are no relaxed values. Arguments as for `changes_at`.
    """
    above, values = network.layers[parent], trace[parent]
    dtype = trace.logits[parent].dtype

    def total(relaxed: Array) -> Float[Array, ""]:
        return jnp.sum(changes.of_values(relaxed))

    if isinstance(above, Categorical):
        by_category = jax.grad(total)(above.point(values, dtype))
        found = by_category - jnp.take_along_axis(by_category, above.index(values)[..., None], axis=-1)
    elif isinstance(above, Bernoulli):
        relaxed = values.astype(dtype)
        moved = over_units(above.alternative_values(dtype), values) - relaxed[..., None]
        found = jax.grad(total)(relaxed)[..., None] * moved
    else:
        found = jnp.zeros((*values.shape, above.alternatives), dtype)
    return jnp.where(jnp.isfinite(found), found, 0)


def mapped(function: Callable[[Any], Result], evaluations: PyTree[Array], count: int, together: int) -> Result:
    """Returns the results for all evaluations, so many at a time; of all at once no loop is made, which compiles.

    Args:
        function: of one evaluation, to arrays that have no axis of all evaluations yet.
        evaluations: arrays with an axis of all evaluations in front.
        count: how many there are.
        together: how many are held together.
    """
    if together >= count:
        return jax.vmap(function)(evaluations)
    return jax.lax.map(function, evaluations, batch_size=together)


def over_units(alternatives: Num[Array, " alternatives"], values: Num[Array, "*batch units"]) -> Array:
    """Returns the alternatives with an axis of 1 for every axis of the values."""
    return alternatives.reshape((1,) * values.ndim + alternatives.shape)


def of_own_unit(values: Num[Array, "*batch units"], unit: Int[Array, "*batch"]) -> Num[Array, "*batch"]:
    """Returns the value of one unit of each example."""
    return jnp.take_along_axis(values, unit[..., None], axis=-1)[..., 0]

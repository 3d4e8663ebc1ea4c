"""A function of a whole batch: its own forward pass, credited example by example."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from hnca.estimators import Estimator
from hnca.programs.affordable import most_of
from hnca.programs.arguments import Flat, InAxes, flatten
from hnca.programs.batch_of_one import BatchOfOne, batch_of_one
from hnca.programs.beforehand import seen
from hnca.programs.crediting import (
    Credited,
    Results,
    shape_of,
    traced,
    warn_of_slips,
)
from hnca.programs.equations import Program, read
from hnca.programs.infinities import finite_logits
from hnca.programs.model import Model, model_of
from hnca.programs.passes import Execution, execute, run_pass
from hnca.programs.plan import Plan
from hnca.programs.possible import all_can_be_taken, number_if
from hnca.programs.soft import with_derivative_of_its_kind
from hnca.programs.surrogates import held, with_gradient_scaled


class Whole(NamedTuple):
    """A call of a function of a whole batch.

    Attributes:
        program: of the whole batch: values and derivatives are its.
        one: of one example: layers and components, and with them credits, are its.
        plan: of the program of one example. An example's own value is its share of the result times the batch's size,
            so that the result is the mean of them.
        flat: the arguments, as the function takes them.
        structure: of the results.
    """

    program: Program
    one: BatchOfOne
    plan: Plan
    flat: Flat
    structure: Results


def compile_whole(
    owner: str,
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    in_axes: InAxes,
    has_aux: bool,
) -> Whole:
    """Returns a call of a function of a whole batch, traced and planned.

    Raises:
        ValueError: as for `hnca.value_and_grad`; for no batch axis, a batch of one, an axis that is not the first, or a
            function that is not known to keep the examples apart.
    """
    flat = flatten(owner, arguments, keywords, in_axes, whole_batch=True)
    if not flat.batch_shape or flat.batch_shape[0] < 2:
        raise ValueError(
            f"{owner}: whole_batch=True and in_axes={in_axes!r}; expected a batch of at least two examples, and "
            "in_axes that say which arguments hold it, such as (None, None, 0) for parameters, one key and the data."
        )
    if flat.moved:
        raise ValueError(f"{owner}: whole_batch=True and in_axes={in_axes!r}; expected the batch as the first axis, 0.")
    (size,) = flat.batch_shape
    program, structure = traced(owner, function, flat, [shape_of(a, 0) for a in flat.arrays], has_aux)
    warn_of_slips(program, flat)

    def trace_one() -> Program:
        ones = [
            jax.ShapeDtypeStruct((1, *a.shape[1:]) if m else a.shape, a.dtype)
            for a, m in zip(flat.arrays, flat.mapped, strict=True)
        ]
        return traced(owner, function, flat, ones, has_aux)[0]

    one = batch_of_one(program, size, trace_one)
    if one is None:
        raise ValueError(f"{owner}: whole_batch=True, but the function returned no sum or mean over the batch.")
    rows = [number for number, of in zip(one.program.inputs, one.inputs, strict=True) if of.axis is not None]
    keys = [draw.key for draw in one.program.draws.values()]
    return Whole(program, one, Plan(one.program, [*rows, *keys], float(size)), flat, structure)


def credited_whole(
    estimator: Estimator, whole: Whole, key: Key[Array, ""] | None, state: PyTree
) -> tuple[Float[Array, ""], Credited]:
    """As `credited_call`, for a function of a whole batch: its own forward pass, credited example by example."""
    program, one = whole.program, whole.one
    run = execute(program, whole.flat.arrays)
    model = model_of_examples(whole, run, most_of(estimator, whole.plan))
    found = estimator.unscaled().attribute(model.network, model.objective, model.trace, key=key, state=state)
    if found.passes is not None:
        raise ValueError(
            f"{type(estimator).__name__}: makes several passes of each example, and the function is of a whole batch; "
            "write it for one example and give in_axes, without whole_batch."
        )
    credits, after = held((found.credits, found.state))
    outputs = [read(program, run.held, atom) for atom in program.outputs]
    total = jnp.asarray(outputs[0])
    total = number_if(all_can_be_taken(program, run.logits, run.values), total, run.logits.values())
    for output, axis in one.axes.items():
        logits = jnp.moveaxis(run.logits[output], axis, 0)
        credit = credits[one.program.draws[output].name].reshape(logits.shape).astype(logits.dtype)
        logits = finite_logits(logits, program.draws[output].row)
        product = jnp.sum(credit * logits) / jnp.asarray(len(logits), logits.dtype)
        total += (product - jax.lax.stop_gradient(product)).astype(total.dtype)
    total = with_gradient_scaled(total, estimator.scale_of_all(state))
    aux = whole.structure.unflatten([total, *outputs[1:]])[1]
    return with_derivative_of_its_kind(total), Credited(held(aux), after)


def model_of_examples(whole: Whole, run: Execution, most: int | None) -> Model:
    """Returns the network and the objective of each example of a run of the whole batch.

    Args:
        whole: the call.
        run: of its program.
        most: as for `model_of`.
    """
    one, plan, flat = whole.one, whole.plan, whole.flat
    given = {output: _rows(run.values[output], axis) for output, axis in one.axes.items()}
    read_of_whole = [held(read(whole.program, run.held, of.value)) for of in one.inputs]
    arrays = [a if of.axis is None else _rows(a, of.axis) for a, of in zip(read_of_whole, one.inputs, strict=True)]
    own, marks = run_pass(plan, arrays, [of.axis is not None for of in one.inputs], given)
    return model_of(plan, held(own), marks, seen(whole.program, flat, plan.dtype), flat.batch_shape, most)


def _rows(array: Array, axis: int) -> Array:
    """Returns what each example has of an array, in front, with an axis of 1 in place of the batch's."""
    return jnp.expand_dims(jnp.moveaxis(array, axis, 0), axis + 1)

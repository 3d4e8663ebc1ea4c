"""One run of a program: what it draws and leaves behind for an estimator."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hnca.programs.dependence import outputs_that_depend
from hnca.programs.draws import draw_p
from hnca.programs.equations import Draw, Program, read
from hnca.programs.plan import Plan
from hnca.programs.splitting import as_array


class Pass(NamedTuple):
    """What one pass of the program leaves behind, with a leading batch axis where it differs by example.

    Attributes:
        outputs: the program's results.
        logits: of every draw, by output.
        values: of every draw, in the program's shape.
        saved: what layers and components read.
        weights: of the terms, by their place; None where they are numbers.
    """

    outputs: list[Array]
    logits: dict[int, Array]
    values: dict[int, Array]
    saved: dict[int, Array]
    weights: dict[int, Array]


def run_pass(
    plan: Plan, arguments: Sequence[Array], mapped: Sequence[bool], given: Mapping[int, Array] | None = None
) -> tuple[Pass, Pass]:
    """Runs the program on a batch.

    Args:
        plan: of the program.
        arguments: the flat arguments.
        mapped: which of them have a batch axis, the first.
        given: values the draws are to take, `[*batch, *shape]`; None to draw them.

    Returns:
        The pass, and marks of what in it differs by example.
    """

    def one(arguments: Sequence[Array], given: Mapping[int, Array] | None) -> Pass:
        return _one_example(plan, arguments, given)

    shapes = [_unbatched(a, m) for a, m in zip(arguments, mapped, strict=True)]
    if not plan.batch_axes:
        return one(arguments, given), _marks(jax.eval_shape(one, shapes, given), False)
    whole = None if given is None else {d: _unbatched(v, True) for d, v in given.items()}
    in_front = (
        [s for s, m in zip(shapes, mapped, strict=True) if m],
        [s for s, m in zip(shapes, mapped, strict=True) if not m],
    )

    def sorted_out(moving: tuple[list[Array], Mapping[int, Array] | None], fixed: list[Array]) -> Pass:
        takes, stays = iter(moving[0]), iter(fixed)
        return one([next(takes) if m else next(stays) for m in mapped], moving[1])

    marks = outputs_that_depend(sorted_out, ((in_front[0], whole), in_front[1]), (True, False))
    axes = [0 if m else None for m in mapped]
    out_axes = jax.tree.map(lambda mark: 0 if mark else None, marks)
    if given is None:
        return jax.vmap(lambda a: one(a, None), in_axes=(axes,), out_axes=out_axes)(list(arguments)), marks
    return jax.vmap(one, in_axes=(axes, 0), out_axes=out_axes)(list(arguments), dict(given)), marks


def outputs_of_every_example(run: Pass, marks: Pass, batch_shape: tuple[int, ...]) -> list[Array]:
    """Returns the results, `[*batch, ...]`, also those that are the same for all examples, as `jax.vmap` would."""
    return [
        output if mark else jnp.broadcast_to(output, (*batch_shape, *jnp.shape(output)))
        for output, mark in zip(run.outputs, marks.outputs, strict=True)
    ]


def _unbatched(array: Array, mapped: bool) -> jax.ShapeDtypeStruct:
    shape = jnp.shape(array)
    return jax.ShapeDtypeStruct(shape[1:] if mapped else shape, jnp.asarray(array).dtype)


def _marks(tree: Pass, mark: bool) -> Pass:
    return jax.tree.map(lambda _: mark, tree)


class Execution(NamedTuple):
    """All that one run of a program has computed.

    Attributes:
        held: every value, by number.
        logits: of every draw, by output.
        values: of every draw, likewise.
    """

    held: dict[int, Array]
    logits: dict[int, Array]
    values: dict[int, Array]


def execute(program: Program, arguments: Sequence[Array], given: Mapping[int, Array] | None = None) -> Execution:
    """Runs a program as it is, without a batch axis beside its own; gradients are stopped at what is drawn."""
    held: dict[int, Array] = {**program.constants, **dict(zip(program.inputs, arguments, strict=True))}
    logits, values = {}, {}
    for step in program.steps:
        if isinstance(step, Draw):
            logits[step.output] = _read(program, held, step.logits)
            taken = given[step.output] if given is not None else drawn(program, held, step)
            held[step.output] = values[step.output] = jax.lax.stop_gradient(taken)
        else:
            inputs = [read(program, held, atom) for atom in step.inputs]
            held.update(zip(step.outputs, step.apply(inputs), strict=True))
    return Execution(held, logits, values)


def _one_example(plan: Plan, arguments: Sequence[Array], given: Mapping[int, Array] | None) -> Pass:
    program = plan.program
    held, logits, values = execute(program, arguments, given)
    saved = {v: jax.lax.stop_gradient(_read(program, held, v)) for v in plan.saved}
    weights = {
        place: jax.lax.stop_gradient(as_array(term.weight, held, term.shape, plan.dtype))
        for place, term in enumerate(plan.terms)
        if not isinstance(term.weight, float)
    }
    outputs = [read(program, held, atom) for atom in program.outputs]
    return Pass([jnp.asarray(output) for output in outputs], logits, values, saved, weights)


def _read(program: Program, held: Mapping[int, Array], value: int) -> Array:
    return jnp.asarray(read(program, held, value))


def drawn(program: Program, held: Mapping[int, Array], draw: Draw) -> Array:
    """Returns what a draw draws, or is given."""
    if draw.given is not None:
        return _read(program, held, draw.given)
    # The primitive, whose rule for a batch draws for all examples at once.
    logits = jax.lax.stop_gradient(_read(program, held, draw.logits))
    return draw_p.bind(held[draw.key], logits, values=draw.values, name=draw.name, shared=False)

"""What a program's result is a linear function of: values with a row for each step of a loop, where there are any."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.programs.arguments import is_key
from hnca.programs.batch_axis import Asked, MixedError, apart
from hnca.programs.calls_of_one import apart_inside
from hnca.programs.dependence import depends_on
from hnca.programs.equations import Equation, Program, read
from hnca.programs.kinds import is_linear
from hnca.programs.loop import Loop, loops_of
from hnca.programs.primitives import CALLS
from hnca.programs.splitting import weighed


@dataclass(frozen=True)
class Leaf:
    """A value that the result is linear in.

    Attributes:
        value: its number.
        loop: the loop whose steps it has a row for; None for one that is of the whole.
        axis: along which the rows are.
    """

    value: int
    loop: Loop | None
    axis: int


@dataclass(frozen=True)
class Growth:
    """What a loop carries to its end and only adds to: what it began with, and the sum of the additions.

    Attributes:
        outputs: the number of the result.
        begun: what it began with.
        added: the additions, stacked.
    """

    outputs: tuple[int]
    begun: int
    added: int


@dataclass(frozen=True)
class Terms:
    """A program's result as a linear function of some of its values.

    Attributes:
        program: whose.
        leaves: the values.
        steps: from them to the result, in order.
    """

    program: Program
    leaves: tuple[Leaf, ...]
    steps: tuple[Equation | Growth, ...]

    def coefficients(self, held: Mapping[int, Array]) -> dict[int, Array]:
        """Returns what each element of a leaf is multiplied with, by the leaf's number, in the leaf's shape.

        Args:
            held: all values of a run.
        """
        fixed = {n: a if is_key(a) else jax.lax.stop_gradient(a) for n, a in held.items()}
        leaves = {leaf.value: self._as_float(fixed[leaf.value]) for leaf in self.leaves}
        return jax.grad(lambda moving: self._result({**fixed, **moving}))(leaves)

    def values(self, held: Mapping[int, Array], coefficients: Mapping[int, Array]) -> list[Float[Array, "..."]]:
        """Returns what each leaf adds to the result: `[steps]`, in the order in which they are taken, or `[]`."""
        found = []
        for leaf in self.leaves:
            added = weighed(coefficients[leaf.value], self._as_float(held[leaf.value]))
            if leaf.loop is None:
                found.append(jnp.sum(added))
                continue
            rows = jnp.moveaxis(added, leaf.axis, 0)
            rows = jnp.sum(rows, axis=tuple(range(1, rows.ndim)))
            found.append(jnp.flip(rows) if leaf.loop.reverse else rows)
        return found

    def _as_float(self, array: Array) -> Array:
        return array.astype(self.program.avals[self.program.outputs[0]].dtype)

    def _result(self, held: dict[int, Array]) -> Float[Array, ""]:
        program = self.program
        moving = {leaf.value for leaf in self.leaves}
        for step in self.steps:
            if isinstance(step, Growth):
                added = jnp.sum(held[step.added], axis=0)
                held[step.outputs[0]] = read(program, held, step.begun).astype(added.dtype) + added
                moving.update(step.outputs)
                continue
            inputs = [read(program, held, atom) for atom in step.inputs]
            places = [place for place, atom in enumerate(step.inputs) if atom in moving]
            moving.update(step.outputs)
            whole = any(a.dtype != program.avals[v].dtype for a, v in zip(inputs, step.inputs, strict=True))
            apply = step.apply_as_floats if whole else (lambda arrays, step=step: step.apply(arrays)[0])
            if step.name in ("mul", "div") and len(places) == 1 and inputs[0].shape == inputs[1].shape:
                held[step.outputs[0]] = _scaled(apply, places[0], inputs[places[0]], inputs[1 - places[0]])
            else:
                held[step.outputs[0]] = apply(inputs)
        return held[program.outputs[0]].reshape(())


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _scaled(apply: Callable[[list[Array]], Array], place: int, moving: Array, factor: Array) -> Array:
    """Returns a product or quotient whose derivative is 0 where what comes after it does not count, as of 0 / 0."""
    return apply([moving, factor] if place == 0 else [factor, moving])


def _scaled_forward(
    apply: Callable[[list[Array]], Array], place: int, moving: Array, factor: Array
) -> tuple[Array, tuple[Array, Array]]:
    return _scaled(apply, place, moving, factor), (moving, factor)


def _scaled_backward(
    apply: Callable[[list[Array]], Array], place: int, operands: tuple[Array, Array], above: Array
) -> tuple[Array, Array]:
    moving, factor = operands
    used = jnp.where(above == 0, jnp.ones((), factor.dtype), factor)
    _, pull = jax.vjp(lambda array: apply([array, used] if place == 0 else [used, array]), moving)
    return pull(above)[0], jnp.zeros_like(factor)


_scaled.defvjp(_scaled_forward, _scaled_backward)


def terms_of(program: Program) -> Terms:
    """Returns what a program's result is a linear function of."""
    random = depends_on(program, sources_of(program), through_draws=True)
    rows = _rows(program)
    leaves: dict[int, Leaf] = {}
    steps: dict[int, Equation | Growth] = {}
    waiting = [program.outputs[0]]
    while waiting:
        number = waiting.pop()
        if number not in random or number in leaves or number in steps:
            continue
        step = _linear_step(program, number, random)
        if step is None:
            leaves[number] = Leaf(number, *rows.get(number, (None, 0)))
        else:
            steps[number] = step
            waiting += (step.begun, step.added) if isinstance(step, Growth) else step.inputs
    order = {output: place for place, e in enumerate(program.equations) for output in e.outputs}
    return Terms(program, tuple(leaves.values()), tuple(steps[n] for n in sorted(steps, key=lambda n: order[n])))


def sources_of(program: Program) -> set[int]:
    """Returns what is drawn, and what loops with draws in them make."""
    return {*program.draws, *(output for loop in loops_of(program) for output in loop.outputs)}


def _linear_step(program: Program, number: int, random: set[int]) -> Equation | Growth | None:
    """Returns how a value is made of others linearly; None where it is not."""
    equation = program.producers.get(number)
    if equation is None:
        return None
    if isinstance(equation, Loop):
        place = equation.outputs.index(number)
        if place not in equation.added:
            return None
        return Growth((number,), equation.inputs[equation.places.begun + place], equation.added[place])
    # A derivative is taken of what comes after, and it would stop there.
    if equation.name == "stop_gradient" or len(equation.outputs) != 1:
        return None
    return equation if is_linear(program, equation, [atom in random for atom in equation.inputs]) else None


def _rows(program: Program) -> dict[int, tuple[Loop, int]]:
    """Returns which values have a row for each step of a loop, and along which axis, as far as it is certain."""
    found: dict[int, tuple[Loop, int]] = {}
    after = {e.outputs[0]: depends_on(program, {*e.outputs}, through_draws=True) for e in loops_of(program)}
    for equation in program.equations:
        if isinstance(equation, Loop):
            found.update({output: (equation, 0) for output in equation.outputs if equation.stacks(output)})
            continue
        read_rows = {place: found[v] for place, v in enumerate(equation.inputs) if v in found}
        if len({loop.outputs[0] for loop, _ in read_rows.values()}) != 1:
            continue
        loop = next(iter(read_rows.values()))[0]
        if any(v not in found and v in after[loop.outputs[0]] for v in equation.inputs):
            continue  # What comes of all steps is in each row.
        asked = Asked(program, equation, {place: axis for place, (_, axis) in read_rows.items()}, loop.length)
        try:
            made = apart_inside(asked) if equation.name in CALLS else apart(asked)
        except MixedError:
            continue
        if made.axis is not None:
            found.update(dict.fromkeys(equation.outputs, (loop, made.axis)))
    return found

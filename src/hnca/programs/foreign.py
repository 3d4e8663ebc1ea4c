"""Reports draws by `jax.random` of what depends on parameters, whose gradient would be zero in silence."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from hnca._warning import warn
from hnca.programs import primitives
from hnca.programs.calls import Marks, Reader
from hnca.programs.dependence import depends_on, inputs_that_depend, wanted_for
from hnca.programs.equations import Program
from hnca.programs.foreign_inside import NOISY, Place, handed_on, is_a_draw, lines_inside, marks_of
from hnca.programs.loop import Loop, loops_of


def warn_of_foreign_draws(program: Program, parameters: Iterable[int]) -> None:
    """Warns of every draw that something which depends on parameters has a part in, as `jax.random.bernoulli`'s has.

    Of noise that meets the program's own draws and nothing else that is learned, as in a simulation, the gradient is
    right: every draw is credited with what came of it.

    Args:
        program: the program.
        parameters: the inputs that count as parameters.
    """
    for line in lines_of_foreign_draws(program, parameters, program.outputs[:1]):
        warn(
            f"hnca: the discrete draw at {line} depends on parameters and is none of hnca's, so it has no "
            "part in the gradient; use hnca.bernoulli or hnca.categorical instead of jax.random's (or stop the "
            "gradient of its parameters with jax.lax.stop_gradient, if that is meant)."
        )


def lines_of_foreign_draws(program: Program, parameters: Iterable[int], results: Iterable[int]) -> list[str]:
    """Returns the user's lines in which noise meets what is learned and a discrete value comes of it.

    Args:
        program: the program.
        parameters: the inputs and constants that may be learned.
        results: the values that a draw has to have a part in.
    """
    learned = depends_on(program, set(parameters), through_draws=False, not_through=("stop_gradient",))
    wanted = wanted_for(program, results, observed=False)
    marks, readers = _marks(program, learned), _readers(program)
    producers = {output: equation.inputs for equation in program.equations for output in equation.outputs}

    def made_of(value: int) -> Sequence[Any]:
        return producers.get(value, ())

    def is_noisy(value: int) -> bool:
        return NOISY in marks[value]

    found = []
    for equation in program.equations:
        if isinstance(equation, Loop) or wanted.isdisjoint(equation.outputs):
            continue
        operands = [marks[value] for value in equation.inputs]
        place = Place(equation.inputs, equation.outputs, readers, program.outputs, made_of, is_noisy)
        found += [equation.line] if is_a_draw(equation.original, operands, place) else []
        found += lines_inside(equation.original, operands, equation.line)
    for loop in loops_of(program):
        inside = inputs_that_depend(loop, learned, through_draws=False, not_through=("stop_gradient",))
        given = [*inside, *traced_constants(loop.body)]
        found += lines_of_foreign_draws(loop.body, given, loop.body.outputs)
    return list(dict.fromkeys(found))


def traced_constants(program: Program) -> list[int]:
    """Returns the arrays that a program closes over and that may be learned: traced ones.

    Of those that are known, as tables of `jax.random`'s own are, nobody can ask the derivative.
    """
    return [number for number, array in program.constants.items() if isinstance(array, jax.core.Tracer)]


def instead_of_draws(program: Program) -> str:
    """Returns what a function without draws of hnca's has in place of them, for an error."""
    floats = [number for number in program.inputs if jnp.issubdtype(program.avals[number].dtype, jnp.floating)]
    lines = lines_of_foreign_draws(program, [*floats, *traced_constants(program)], program.outputs)
    if lines:
        return f"in place of what is drawn otherwise at {', '.join(lines)}, through which JAX's gradient is zero"
    return "without any, jax.grad is right; what is drawn outside of it is a constant to it"


def _marks(program: Program, learned: set[int]) -> list[Marks]:
    """Returns the marks of every value."""
    noise = {o for e in program.equations if e.name in primitives.RANDOM for o in e.outputs}
    random = depends_on(program, noise, through_draws=False)
    marks = [marks_of(random=value in random, learned=value in learned) for value in range(len(program.avals))]
    for equation in program.equations:
        operands = [marks[value] for value in equation.inputs]
        if not isinstance(equation, Loop) and NOISY in handed_on(equation.original, operands):
            for output in equation.outputs:
                marks[output] |= {NOISY}
    return marks


def _readers(program: Program) -> dict[int, list[Reader]]:
    readers: dict[int, list[Reader]] = {}
    for equation in program.equations:
        reader = Reader(equation.inputs, equation.outputs, equation.original)
        for value in equation.inputs:
            readers.setdefault(value, []).append(reader)
    return readers

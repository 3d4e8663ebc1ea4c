"""Reports draws by `jax.random` of what depends on parameters, whose gradient would be zero in silence."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from hnca._warning import warn
from hnca.programs import primitives
from hnca.programs.dependence import depends_on, inputs_that_depend
from hnca.programs.equations import Equation, Program
from hnca.programs.foreign_inside import draws_in_a_loop, is_drawn, lines_inside, marks_of
from hnca.programs.loop import Loop, loops_of


def warn_of_foreign_draws(program: Program, parameters: Iterable[int]) -> None:
    """Warns of every draw that something which depends on parameters has a part in, as `jax.random.bernoulli`'s has.

    Args:
        program: the program.
        parameters: the inputs that count as parameters.
    """
    for line in lines_of_foreign_draws(program, parameters):
        warn(
            f"hnca: the discrete draw at {line} depends on parameters and is none of hnca's, so it has no "
            "part in the gradient; use hnca.bernoulli or hnca.categorical instead of jax.random's (or stop the "
            "gradient of its parameters with jax.lax.stop_gradient, if that is meant)."
        )


def lines_of_foreign_draws(program: Program, parameters: Iterable[int]) -> list[str]:
    """Returns the user's lines in which noise is compared with what is learned, or goes with it into a loop.

    The first is how `jax.random.bernoulli` and `categorical` draw, the second `choice`, `poisson` and `binomial`.
    """
    noise = {o for e in program.equations if e.name in primitives.RANDOM for o in e.outputs}
    random = depends_on(program, noise, through_draws=True)
    learned = depends_on(program, set(parameters), through_draws=True, not_through=("stop_gradient",))
    found = []
    for equation in program.equations:
        if isinstance(equation, Loop):
            continue  # It is looked into.
        marks = [marks_of(random=value in random, learned=value in learned) for value in equation.inputs]
        compares = equation.name in primitives.DRAWN_FROM_BITS and _compares(program, equation, random, learned)
        found += [equation.line] if compares or draws_in_a_loop(equation.original, marks) else []
        found += lines_inside(equation.original, marks, equation.line)
    for loop in loops_of(program):
        inside = inputs_that_depend(loop, learned, through_draws=True, not_through=("stop_gradient",))
        found += lines_of_foreign_draws(loop.body, [*inside, *traced_constants(loop.body)])
    return list(dict.fromkeys(found))


def traced_constants(program: Program) -> list[int]:
    """Returns the arrays that a program closes over and that may be learned: traced ones.

    Of those that are known, as tables of `jax.random`'s own are, nobody can ask the derivative.
    """
    return [number for number, array in program.constants.items() if isinstance(array, jax.core.Tracer)]


def instead_of_draws(program: Program) -> str:
    """Returns what a function without draws of hnca's has in place of them, for an error."""
    floats = [number for number in program.inputs if jnp.issubdtype(program.avals[number].dtype, jnp.floating)]
    lines = lines_of_foreign_draws(program, [*floats, *traced_constants(program)])
    if lines:
        return f"in place of what is drawn otherwise at {', '.join(lines)}, through which JAX's gradient is zero"
    return "without any, jax.grad is right; what is drawn outside of it is a constant to it"


def _compares(program: Program, equation: Equation, random: set[int], learned: set[int]) -> bool:
    operands = equation.inputs
    if equation.name in ("argmax", "argmin"):
        source = program.producers.get(operands[0])
        if source is None or source.name not in ("add", "sub"):
            return False
        operands = source.inputs
    return is_drawn([marks_of(random=a in random, learned=a in learned) for a in operands])

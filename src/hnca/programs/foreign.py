"""Reports draws by `jax.random` of what depends on parameters, whose gradient would be zero in silence."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from hnca._warning import warn
from hnca.programs import primitives
from hnca.programs.dependence import depends_on, inputs_that_depend
from hnca.programs.equations import Equation, Program
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
    found = [
        equation.line
        for equation in program.equations
        if (equation.name in primitives.DRAWN_FROM_BITS and _compares(program, equation, random, learned))
        or (equation.name in primitives.LOOPS and _loops(program, equation, random, learned))
    ]
    for loop in loops_of(program):
        inside = inputs_that_depend(loop, learned, through_draws=True, not_through=("stop_gradient",))
        found += lines_of_foreign_draws(loop.body, [*inside, *loop.body.constants])
    return list(dict.fromkeys(found))


def instead_of_draws(program: Program) -> str:
    """Returns what a function without draws of hnca's has in place of them, for an error."""
    floats = [number for number in program.inputs if jnp.issubdtype(program.avals[number].dtype, jnp.floating)]
    lines = lines_of_foreign_draws(program, [*floats, *program.constants])
    if lines:
        return f"in place of what is drawn otherwise at {', '.join(lines)}, through which JAX's gradient is zero"
    return "without any, jax.grad is right; what is drawn outside of it is a constant to it"


def _loops(program: Program, equation: Equation, random: set[int], learned: set[int]) -> bool:
    """Whether a loop draws from something learned: one that has a derivative makes floats, and is no `while`."""
    if isinstance(equation, Loop):
        return False  # It is looked into.
    if equation.name == "scan" and any(jnp.issubdtype(program.avals[o].dtype, jnp.floating) for o in equation.outputs):
        return False
    has_key = any(jnp.issubdtype(program.avals[a].dtype, jax.dtypes.prng_key) for a in equation.inputs)
    draws = has_key or not random.isdisjoint(equation.inputs)
    return draws and not learned.isdisjoint(equation.inputs)


def _compares(program: Program, equation: Equation, random: set[int], learned: set[int]) -> bool:
    operands = equation.inputs
    if equation.name in ("argmax", "argmin"):
        source = program.producers.get(operands[0])
        if source is None or source.name not in ("add", "sub"):
            return False
        operands = source.inputs
    noise = any(a in random and a not in learned for a in operands)
    return noise and any(a in learned and a not in random for a in operands)

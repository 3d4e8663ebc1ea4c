"""Reports draws by `jax.random` of what depends on parameters, whose gradient would be zero in silence."""

import warnings
from collections.abc import Iterable

from hnca.programs import primitives
from hnca.programs.dependence import depends_on
from hnca.programs.equations import Equation, Program


def warn_of_foreign_draws(program: Program, parameters: Iterable[int]) -> None:
    """Warns of every comparison of noise with something that depends on parameters, as `jax.random.bernoulli` makes.

    Args:
        program: the program.
        parameters: the inputs that count as parameters.
    """
    noise = {o for e in program.equations if e.name in primitives.RANDOM for o in e.outputs}
    if not noise:
        return
    random = depends_on(program, noise, through_draws=True)
    learned = depends_on(program, set(parameters), through_draws=True)
    for equation in program.equations:
        if equation.name in primitives.DRAWN_FROM_BITS and _compares(program, equation, random, learned):
            warnings.warn(
                f"hnca: the discrete draw at {equation.line} depends on parameters and is none of hnca's, so it has no "
                "part in the gradient; use hnca.bernoulli or hnca.categorical instead of jax.random's (or stop the "
                "gradient of its parameters with jax.lax.stop_gradient, if that is meant).",
                stacklevel=2,
            )


def _compares(program: Program, equation: Equation, random: set[int], learned: set[int]) -> bool:
    operands = equation.inputs
    if equation.name in ("argmax", "argmin"):
        source = program.producers.get(operands[0])
        if source is None or source.name not in ("add", "sub"):
            return False
        operands = source.inputs
    noise = any(a in random and a not in learned for a in operands)
    return noise and any(a in learned and a not in random and not _is_stopped(program, a) for a in operands)


def _is_stopped(program: Program, value: int) -> bool:
    equation = program.producers.get(value)
    while equation is not None:
        if equation.name == "stop_gradient":
            return True
        if len(equation.inputs) != 1:
            return False
        equation = program.producers.get(equation.inputs[0])
    return False

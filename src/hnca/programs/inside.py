"""What stands inside an equation of a jaxpr: how many draws, whether anything is observed, what it follows from."""

from collections.abc import Sequence
from typing import Any, TypeVar

from hnca.programs.draws import draw_p
from hnca.programs.observing import observed_p
from hnca.programs.primitives import NOISE, OBSERVING, OPAQUE_CALLS

T = TypeVar("T")


def count_draws(equation: Any) -> int:
    """Returns how many draws stand inside an equation (in a step of its, if it is a scan)."""
    if equation.primitive is draw_p:
        return 1
    total = 0
    for inner in inner_jaxprs(equation.params):
        for each in inner.eqns:
            count = count_draws(each)
            total += count * (each.params["length"] if each.primitive.name == "scan" else 1)
    return total


def observes(equation: Any) -> bool:
    """Returns whether what an equation returns is observed: by a callback, or marked so, inside of it too."""
    if equation.primitive is observed_p or equation.primitive.name in OBSERVING:
        return True
    return any(observes(each) for inner in inner_jaxprs(equation.params) for each in inner.eqns)


def follows_from_inputs(equation: Any) -> bool:
    """Returns whether what an equation returns follows from what it reads: not so a callback's, or `axis_index`."""
    return not equation.effects and not observes(equation)


def makes_noise(equation: Any) -> bool:
    """Returns whether `jax.random` makes noise inside of an equation's jaxprs."""
    inside = [each for inner in inner_jaxprs(equation.params) for each in inner.eqns]
    return any(each.primitive.name in NOISE or makes_noise(each) for each in inside)


def called_inside(equation: Any, inputs: Sequence[T]) -> list[tuple[Any, Sequence[T]]]:
    """Returns the jaxprs that an equation calls, each with what it is given: of a loop, in its first step.

    Args:
        equation: a loop, a choice, or a call.
        inputs: what stands for its arguments.
    """
    name, params = equation.primitive.name, equation.params
    if name in OPAQUE_CALLS:
        return []  # What is divided over axes of its own means another thing there.
    if name == "cond":
        return [(branch, inputs[1:]) for branch in params["branches"]]
    if name == "while":
        tested, stepped = params["cond_nconsts"], params["body_nconsts"]
        carried = inputs[tested + stepped :]
        steps = [*inputs[tested : tested + stepped], *carried]
        return [(params["cond_jaxpr"], [*inputs[:tested], *carried]), (params["body_jaxpr"], steps)]
    called = [value for value in params.values() if hasattr(getattr(value, "jaxpr", value), "eqns")]
    return [(inner, inputs) for inner in called if len(getattr(inner, "jaxpr", inner).invars) == len(inputs)][:1]


def inner_jaxprs(params: dict[str, Any]) -> list[Any]:
    """Returns the jaxprs among an equation's parameters."""
    found = []
    for value in params.values():
        for candidate in value if isinstance(value, tuple | list) else (value,):
            candidate = getattr(candidate, "jaxpr", candidate)
            if hasattr(candidate, "eqns"):
                found.append(candidate)
    return found

"""What stands inside an equation of a jaxpr: how many draws, and whether anything is observed."""

from typing import Any

from hnca.programs.draws import draw_p
from hnca.programs.observing import observed_p
from hnca.programs.primitives import OBSERVING


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


def inner_jaxprs(params: dict[str, Any]) -> list[Any]:
    """Returns the jaxprs among an equation's parameters."""
    found = []
    for value in params.values():
        for candidate in value if isinstance(value, tuple | list) else (value,):
            candidate = getattr(candidate, "jaxpr", candidate)
            if hasattr(candidate, "eqns"):
                found.append(candidate)
    return found

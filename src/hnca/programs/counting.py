"""How many draws stand inside an equation of a jaxpr."""

from typing import Any

from hnca.programs.draws import draw_p


def count_draws(equation: Any) -> int:
    """Returns how many draws stand inside an equation (in a step of its, if it is a scan)."""
    if equation.primitive is draw_p:
        return 1
    total = 0
    for inner in _inner_jaxprs(equation.params):
        for each in inner.eqns:
            count = count_draws(each)
            total += count * (each.params["length"] if each.primitive.name == "scan" else 1)
    return total


def _inner_jaxprs(params: dict[str, Any]) -> list[Any]:
    found = []
    for value in params.values():
        for candidate in value if isinstance(value, tuple | list) else (value,):
            candidate = getattr(candidate, "jaxpr", candidate)
            if hasattr(candidate, "eqns"):
                found.append(candidate)
    return found

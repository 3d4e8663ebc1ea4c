"""Whether all other values of the units that part of a program reads are evaluated at once."""

from hnca.programs.parts import Part

_SEVERAL = 3
"""From how many draws on there is something to be gained."""
_MOST = 256
"""How many evaluations are made at once."""
_TIMES = 3
"""For how many times the operations of evaluating draw by draw."""


def is_cheap_at_once(part: Part) -> bool:
    """Returns whether that is worth its price: less is traced and compiled, and more computed.

    What reads some of the draws is then evaluated for the others too: twice as often where each step of a loop reads
    all before it, and as many times as there are draws where each is read by a network of its own.
    """
    values = {draw: part.other_values_of(draw) for draw in part.draws}
    total = sum(values.values())
    if len(values) < _SEVERAL or total > _MOST:
        return False
    apart = 0
    for equation in part.equations:
        read = {draw for output in equation.outputs for draw in part.kinds.get(output, {})}
        apart += part.operations_of(equation) * sum(values[draw] for draw in read)
    return total * part.operations <= _TIMES * apart

"""Whether all other values of the units that part of a program reads are evaluated at once."""

from hnca.programs.parts import Part

_SEVERAL = 3
"""From how many draws on there is something to be gained."""
_MOST = 64
"""How many evaluations are made at once."""
_OPERATIONS = 2**15
"""For how many operations an example at most, all of them together: of more the time to compute is what counts."""


def is_cheap_at_once(part: Part) -> bool:
    """Returns whether that is worth its price: less is traced and compiled, and more computed.

    What reads some of the draws is then evaluated for the others too: several times as often where each step of a loop
    reads all before it.
    """
    if len(part.draws) < _SEVERAL:
        return False
    total = sum(map(part.other_values_of, part.draws))
    return total <= _MOST and total * part.operations <= _OPERATIONS

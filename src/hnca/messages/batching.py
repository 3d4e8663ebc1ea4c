"""How many evaluations are held together."""

import jax

from hnca.network import Trace

# At 4 bytes each 16 MiB: a few traces of the usual sizes, and no more than a cache can make use of.
_ELEMENTS = 2**22


def at_a_time(trace: Trace, evaluations: int) -> int:
    """Returns how many evaluations may be held together, judging by the size of what one of them reads."""
    size = sum(leaf.size for leaf in jax.tree.leaves(trace))
    return max(1, min(evaluations, _ELEMENTS // max(size, 1)))

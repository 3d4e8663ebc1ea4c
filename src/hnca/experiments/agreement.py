"""What the processes of one run have to agree on: the first one decides, the others follow."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

NOTHING_LEFT = -1


def from_the_first(tree: PyTree) -> PyTree:
    """Returns the first process's arrays, in every process; all have to ask, with arrays of the same shapes."""
    if jax.process_count() == 1:
        return tree
    return multihost_utils.broadcast_one_to_all(tree)


def next_run(place: int, epoch: int) -> tuple[int, int]:
    """Returns the place of the run that the first process wants to train and the epoch it is at, in every process."""
    chosen, after = from_the_first(np.array([place, epoch], np.int32))
    return int(chosen), int(after)


@contextmanager
def followed() -> Iterator[None]:
    """What the first process does alone after an epoch; the others learn whether it went well by `goes_on`."""
    try:
        yield
    except BaseException:
        from_the_first(np.array(False))
        raise
    from_the_first(np.array(True))


def goes_on() -> bool:
    """Returns whether what the first process did within `followed` went well."""
    return bool(from_the_first(np.array(True)))

"""Several processes that train one network: how they join, and how the first one decides and the others follow."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from hnca.experiments.settings import ProcessSettings, SettingsError

_PAUSE = 0.2


def join(settings: ProcessSettings) -> None:
    """Connects this process with the others that the settings tell of; does nothing if they tell of none.

    Raises:
        SettingsError: if no cluster is recognised, or nobody listens where the first process should.
    """
    if settings.coordinator is not None:
        if settings.process_id != 0:
            _await_listener(settings.coordinator, settings.patience)
        _initialize(settings, f"--coordinator {settings.coordinator}: cannot be joined")
    elif settings.distributed:
        _initialize(settings, "--distributed: no cluster to join")


def _initialize(settings: ProcessSettings, complaint: str) -> None:
    address, count, number = settings.coordinator, settings.processes, settings.process_id
    try:
        # Without an address JAX looks for a cluster by itself.
        jax.distributed.initialize(
            address,
            count,
            number,
            initialization_timeout=settings.patience,
            heartbeat_timeout_seconds=settings.patience,
        )
    except (ValueError, RuntimeError) as error:
        raise SettingsError(f"{complaint} ({str(error).strip().splitlines()[0]})") from None


def _await_listener(address: str, patience: int) -> None:
    """Waits until somebody listens; JAX itself would end a process that waits in vain with a stack trace."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=max(_PAUSE, deadline - time.monotonic())).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                reason = error.strerror or error
                raise SettingsError(
                    f"--coordinator {address}: nobody answers within --patience {patience} s ({reason})"
                ) from None
            time.sleep(_PAUSE)


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

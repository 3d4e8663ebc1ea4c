"""Joins the processes of one run, before JAX looks for its devices."""

import socket
import time

import jax

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
        jax.distributed.initialize(address, count, number, initialization_timeout=settings.patience)
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

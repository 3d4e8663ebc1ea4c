"""Who is at work on a run: one process at a time, on this machine or on another that shares the directory."""

import functools
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from filelock import SoftFileLease, Timeout

NAME = "claim"
LEASE_SECONDS = 180.0
"""How long the owner of a claim on another machine may give no sign of life before it is taken for dead."""
_SIGNS_IN_A_LEASE = 6


class Owner(NamedTuple):
    """A process that holds a claim.

    Attributes:
        host: the machine, and on Linux the container if it is in one.
        pid: the process.
    """

    host: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition('?pidns-')[0]}"


class ClaimedError(Exception):
    """Another process is at work on the run.

    Attributes:
        owner: the process, if the claim could be read.
    """

    def __init__(self, owner: Owner | None):
        super().__init__(f"claimed by {owner or 'another process'}")
        self.owner = owner


class LostClaimError(Exception):
    """The claim is no longer ours: its directory was removed, or another process thought us dead and took it over."""


class Claim:
    """The right to write into the directory of a run, held by one process.

    A file `claim` with host, process, and the time the process started, which is touched every half minute. The claim
    of a process on this machine that is gone is taken over at once; that of a process on another machine after three
    minutes without a sign of life, measured by the clock of whoever waits. A machine that sleeps for longer loses its
    claims, so `check` must be asked before anything is written.

    Example:
        ```python
        claim = Claim(directory)
        with claim.take():
            ...
            claim.check()
            ...  # write
        ```

    Attributes:
        lease_seconds: how long an owner elsewhere may give no sign of life.
        is_foreign: whether the claim that could not be taken last was made with another lease length.
    """

    lease_seconds: float
    is_foreign: bool

    def __init__(self, directory: Path, lease_seconds: float = LEASE_SECONDS):
        """Args:
        directory: of the run; it exists.
        lease_seconds: how long an owner elsewhere may give no sign of life; the same for all who may come.
        """
        self._path = directory / NAME
        self.lease_seconds = lease_seconds
        self.is_foreign = False
        self._lease = SoftFileLease(
            self._path, lease_duration=lease_seconds, heartbeat_interval=lease_seconds / _SIGNS_IN_A_LEASE, timeout=0
        )

    def take(self) -> "Claim":
        """Takes the claim, also over from a dead owner, and returns itself to be entered.

        Raises:
            ClaimedError: if another process holds it, or may hold it.
            OSError: if the directory cannot be written.
        """
        try:
            self._lease.acquire()
        except Timeout:
            self.is_foreign = False
            raise ClaimedError(self.owner()) from None
        except ValueError:  # made with another lease length, by another version perhaps
            self.is_foreign = True
            raise ClaimedError(self.owner()) from None
        return self

    def release(self) -> None:
        """Gives the claim back, if it is ours."""
        self._lease.release()

    def owner(self) -> Owner | None:
        """Returns who holds the claim, if anyone and if it can be read."""
        found = self._lease.owner
        return None if found is None else Owner(found.hostname, found.pid)

    def check(self) -> None:
        """Raises a LostClaimError if the claim is no longer ours."""
        found = self._lease.owner
        if found is not None and found.token == self._lease.token and self._lease.compromise is None:
            return
        if found is None:
            gone = "claim" if self._path.parent.exists() else "directory"
            raise LostClaimError(f"its {gone} was removed while it ran")
        raise LostClaimError(f"{Owner(found.hostname, found.pid)} has taken it over")

    def sign_of_life(self) -> float | None:
        """Returns when the owner last gave one, by the clock of the file system; None if nobody holds the claim."""
        try:
            return self._path.stat().st_mtime
        except OSError:
            return None

    def discard(self, given: float) -> None:
        """Removes a claim that cannot be taken over, and whose owner has given no sign of life since `given`.

        A power cut while a claim was written leaves one of nothing, and of that nobody else can say whose it is; one
        with another lease length can be read, but is not understood.
        """
        if (self.is_foreign or self.owner() is None) and self.sign_of_life() == given:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def first_given_up(claims: Mapping[str, Claim], poll_seconds: float = 1.0) -> str | None:
    """Watches the owners of claims, and takes the first claim that is given up or whose owner is taken for dead.

    An owner on this machine need not be watched, since `take` asks whether its process lives.

    Args:
        claims: that could not be taken, by names.
        poll_seconds: how often to look.

    Returns:
        The name of the claim that is ours now, or None once every owner has given a sign of life.

    Raises:
        OSError: if a directory cannot be written.
    """
    started = time.monotonic()
    last = {name: claim.sign_of_life() for name, claim in claims.items()}
    while last:
        for name, given in list(last.items()):
            silent = time.monotonic() - started > claims[name].lease_seconds
            try:
                if silent and given is not None:
                    claims[name].discard(given)
                claims[name].take()
            except ClaimedError as error:
                here = error.owner is not None and error.owner.host == _this_host()
                if (here and not claims[name].is_foreign) or claims[name].sign_of_life() != given:
                    del last[name]
            else:
                return name
        if last:
            time.sleep(poll_seconds)
    return None


@functools.cache
def _this_host() -> str:
    """Returns this machine's name as claims have it, by making one."""
    with tempfile.TemporaryDirectory() as directory:
        lease = SoftFileLease(Path(directory) / NAME)
        with lease:
            owner = lease.owner
    return "" if owner is None else owner.hostname

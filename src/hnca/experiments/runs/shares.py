"""Who trains what: each process takes the next run that is neither finished nor claimed by another."""

from collections.abc import Callable, Sequence

from hnca.experiments.runs.plan import Run
from hnca.experiments.store import Claim, ClaimedError, Owner, first_given_up


class Share:
    """The runs that are left for this process, while others may work on the same ones.

    Example:
        ```python
        share = Share(runs, overwrite=False, tell=print)
        while (taken := share.take()) is not None:
            run, claim = taken
            with claim:
                ...
        ```

    Attributes:
        done: the runs that this process has taken.
        finished: the names of those that were finished by others or before.
        elsewhere: who was at work on the others when `take` returned None.
    """

    done: list[Run]
    finished: list[str]
    elsewhere: dict[str, Owner | None]

    def __init__(self, runs: Sequence[Run], overwrite: bool, tell: Callable[[str], None]):
        """Begins with nothing done.

        Args:
            runs: in the order in which they are taken.
            overwrite: whether finished runs are trained again.
            tell: is given a line when there is something to wait for.
        """
        self._runs, self._overwrite, self._tell = runs, overwrite, tell
        self.done, self.finished, self.elsewhere = [], [], {}
        self._claims: dict[str, Claim] = {}

    def take(self) -> tuple[Run, Claim] | None:
        """Returns the next run with its claim, to be entered, or None if nothing is left for this process.

        An owner on another machine is watched until it gives a sign of life, for half a minute then, or is taken for
        dead, after three.

        Raises:
            OSError: if the directory of a run cannot be written.
        """
        while True:
            self.elsewhere, blocked = {}, dict[str, Run]()
            for run in self._left():
                taken = self._try(run)
                if taken is not None:
                    return taken
                if run.directory.name in self.elsewhere:
                    blocked[run.directory.name] = run
            if blocked:
                self._tell(f"left are {', '.join(blocked)}, claimed by others; looking for signs of life")
            given_up = first_given_up({name: self._claims[name] for name in blocked})
            if given_up is None:
                return None
            taken = self._begun(blocked[given_up], self._claims[given_up])
            if taken is not None:
                return taken

    def _left(self) -> list[Run]:
        """Returns the runs that are neither done nor finished, which once they are they remain."""
        left = [run for run in self._runs if run not in self.done and run.directory.name not in self.finished]
        if self._overwrite:
            return left
        self.finished += [run.directory.name for run in left if run.is_finished()]
        return [run for run in left if run.directory.name not in self.finished]

    def _try(self, run: Run) -> tuple[Run, Claim] | None:
        run.directory.mkdir(parents=True, exist_ok=True)
        claim = self._claims.setdefault(run.directory.name, Claim(run.directory))
        try:
            claim.take()
        except ClaimedError as error:
            self.elsewhere[run.directory.name] = error.owner
            return None
        return self._begun(run, claim)

    def _begun(self, run: Run, claim: Claim) -> tuple[Run, Claim] | None:
        """Notes the run as this process's own, unless another has finished it in the meantime."""
        self.elsewhere.pop(run.directory.name, None)
        if not self._overwrite and run.is_finished():
            claim.release()
            return None
        self.done.append(run)
        return run, claim

"""Writes one run, epoch by epoch, under its claim, and says from where it goes on."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from jaxtyping import PyTree

from hnca.experiments.runs.plan import Run
from hnca.experiments.settings import SettingsError
from hnca.experiments.store import (
    Claim,
    Configuration,
    MetricsFile,
    Row,
    StoredRunError,
    begin_anew,
    continue_after,
    differences,
    progress,
    read_configuration,
    write_checkpoint,
    write_configuration,
)
from hnca.experiments.store.serialisation import described, from_bytes, to_bytes

_KEYS = "fold_in(key(seed), epoch), of seeds 0, 1, ..."


class Recorder:
    """A run being written: `config.json`, `metrics.jsonl` and checkpoints.

    Example:
        ```python
        with Recorder(run, claim, overwrite=False, environment={}) as recorder:
            state = recorder.restore(state)
            for epoch in range(recorder.epoch + 1, run.epochs + 1):
                ...
                recorder.write_rows(rows)
                recorder.write_state(epoch, state)
        ```

    Attributes:
        epoch: the last one that is on disk; 0 at the beginning.
        notices: what the user should know of how the run was found.
    """

    epoch: int
    notices: list[str]

    def __init__(self, run: Run, claim: Claim, overwrite: bool, environment: Mapping[str, Any]):
        """Reads what is there and makes ready to continue it.

        Args:
            run: which one.
            claim: on its directory, held by this process.
            overwrite: whether to begin anew, whatever is there.
            environment: the versions, devices and so on that the numbers depend on.

        Raises:
            SettingsError: if the run was begun with other settings, or rows before its checkpoints are damaged.
            OSError: if the directory cannot be read and written.
        """
        self._run, self._claim = run, claim
        stored = None if overwrite else read_configuration(run.directory)
        if stored is None:
            begin_anew(run.directory)
        else:
            _refuse_differences(run, stored)
        try:
            found = progress(run.directory, run.seeds)
        except StoredRunError as error:
            raise SettingsError(str(error)) from None
        self.epoch, self._found = found.epoch, found
        self.notices = [f"{line}; passed over" for line in found.damaged]
        continue_after(run.directory, found.epoch)
        if stored is None or found.epoch == 0:
            self._begin(environment)
        else:
            self._continue(stored, environment)
        if found.epoch:
            self.notices.append(f"{run.directory.name}: goes on after epoch {found.epoch}")
        self._metrics = MetricsFile(run.directory, found.epoch)
        self._held: tuple[int, PyTree] | None = None

    def restore(self, beginning: PyTree) -> PyTree:
        """Returns the state after `epoch`.

        Args:
            beginning: the state before the first epoch.

        Raises:
            SettingsError: if what is on disk is the state of another network.
        """
        _, checkpoint, _, contents = self._found
        if checkpoint is None or contents is None:
            return beginning
        try:
            return from_bytes(contents.content, beginning)
        except ValueError as error:
            raise SettingsError(
                f"{checkpoint.path}: {error}, of another version of hnca; expected --overwrite to begin anew"
            ) from None

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Appends the rows of an epoch.

        Raises:
            LostClaimError: if the claim is no longer held.
            OSError: if they cannot be written.
        """
        self._claim.check()
        self._metrics.write(rows)

    def write_state(self, epoch: int, state: PyTree) -> None:
        """Writes the state after an epoch whose rows are written.

        Raises:
            LostClaimError: if the claim is no longer held.
            OSError: if it cannot be written.
        """
        self._claim.check()
        self._held = None
        header = {"keys": _KEYS, "seeds": self._run.seeds, "arrays": described(state)}
        write_checkpoint(self._run.directory, epoch, to_bytes(state), header)

    def hold_state(self, epoch: int, state: PyTree) -> None:
        """Holds the state after an epoch whose rows are written, to be written only if an interruption comes.

        Args:
            epoch: its number.
            state: arrays of this process's own.
        """
        self._held = epoch, state

    def _begin(self, environment: Mapping[str, Any]) -> None:
        begun = {"keys": _KEYS, "begun": _now(), "environment": dict(environment), "continued": []}
        content = {**self._run.configuration, "epochs": self._run.epochs, **begun}
        write_configuration(self._run.directory, content)

    def _continue(self, stored: Configuration, environment: Mapping[str, Any]) -> None:
        self.notices += _changes((stored["continued"] or [stored])[-1]["environment"], environment)
        again = {"after_epoch": self.epoch, "at": _now(), "environment": dict(environment)}
        epochs = max(self._run.epochs, stored["epochs"])
        content = {**stored, "epochs": epochs, "continued": [*stored["continued"], again]}
        write_configuration(self._run.directory, content)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._metrics.__exit__(kind, error, trace)
        if self._held is not None and isinstance(error, KeyboardInterrupt | BrokenPipeError):
            self.write_state(*self._held)


def _refuse_differences(run: Run, stored: Configuration) -> None:
    """Raises a SettingsError if another process has begun the run with other settings in the meantime."""
    found = differences(stored, run.configuration)
    if found:
        raise SettingsError(f"--out {run.directory}: has just been started with other settings ({'; '.join(found)})")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Returns a notice if the numbers may differ in their last digits from what an uninterrupted run would give."""
    ignored = ("host", "commit")
    changed = [
        f"{name} {before.get(name)}, now {now.get(name)}"
        for name in now
        if name not in ignored and name in before and before[name] != now[name]
    ]
    return [f"continued elsewhere, so that last digits may differ: {'; '.join(changed)}"] if changed else []

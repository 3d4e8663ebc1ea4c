"""What every experiment lets a user set, and how a wrong value is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import tyro


class SettingsError(ValueError):
    """A setting that cannot be used. Its message is one line, fit to be shown to the user."""


@dataclass(frozen=True)
class TrainingSettings:
    """Sizes, rates and counts of an experiment that trains networks."""

    layers: tuple[int, ...] = (1, 2, 3)
    """Numbers of stochastic hidden layers to try."""
    width: int = 200
    """Units in a hidden layer."""
    epochs: int = 100
    """Passes over the 60,000 training images."""
    seeds: int = 5
    """How many independent networks to train, together."""
    batch_size: int = 50
    """Images an update."""
    learning_rate: float = 1e-4
    """Of Adam."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs")
    """Where to write metrics.jsonl and the figures."""
    overwrite: bool = False
    """Replace the metrics of an earlier run in that directory."""

    def __post_init__(self):
        check_each("layers", self.layers)
        for name in ("width", "epochs", "seeds", "batch_size"):
            check_count(name, getattr(self, name))
        if self.batch_size > 60_000:
            raise SettingsError(f"--batch-size {self.batch_size}: expected at most 60000, the number of images")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingsError(f"--learning-rate {self.learning_rate}: expected a positive number")

    def is_tested(self, epoch: int) -> bool:
        """Returns whether the test images are measured after this epoch (1, 2, ...)."""
        return True


def check_count(name: str, value: int) -> None:
    """Raises a SettingsError unless the value is at least 1."""
    if value < 1:
        raise SettingsError(f"{_flag(name)} {value}: expected a whole number of at least 1")


def check_each(name: str, values: Sequence[int]) -> None:
    """Raises a SettingsError unless there are values and each is at least 1."""
    if not values or min(values) < 1:
        raise SettingsError(f"{_flag(name)} {_shown(values)}: expected whole numbers of at least 1")


def check_names(name: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    """Raises a SettingsError unless there are values and each is one of those allowed."""
    unknown = [value for value in values if value not in allowed]
    if unknown or not values:
        raise SettingsError(f"{_flag(name)} {_shown(unknown)}: expected some of {', '.join(allowed)}")


def _shown(values: Sequence[object]) -> str:
    return " ".join(map(str, values)) or "(nothing)"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")

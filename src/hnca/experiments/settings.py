"""What a user may set of an experiment, checked when it is built. Imports no JAX, so that mistakes answer at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated

import tyro

BANDIT_ESTIMATORS = ("hnca", "reinforce")
"""Estimators that can learn from an observed reward; with `+baseline` each has a running mean."""


class SettingsError(ValueError):
    """A setting that cannot be used. Its message is one line, fit to be shown to the user."""


@dataclass(frozen=True)
class BanditSettings:
    """Train agents on MNIST as a contextual bandit, from rewards alone (Young 2022, Section 1.3, Figure 1)."""

    layers: tuple[int, ...] = (1, 2, 3)
    """Numbers of hidden layers to try."""
    width: int = 200
    """Units in a hidden layer."""
    estimators: tuple[str, ...] = ("hnca", "reinforce")
    """Gradient estimators to compare: hnca, reinforce, hnca+baseline, reinforce+baseline."""
    baseline: bool = False
    """Give every estimator a running mean of the reward (decay 0.99) as its baseline."""
    epochs: int = 100
    """Passes over the 60,000 training images."""
    seeds: int = 5
    """How many independent agents to train, together."""
    batch_size: int = 50
    """Images an update."""
    learning_rate: float = 1e-4
    """Of Adam."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/bandit")
    """Where to write metrics.jsonl and the figure."""
    overwrite: bool = False
    """Replace the metrics of an earlier run in that directory."""

    def __post_init__(self):
        _check_each("layers", self.layers, at_least=1)
        for name in ("width", "epochs", "seeds", "batch_size"):
            _check_count(name, getattr(self, name))
        if self.batch_size > 60_000:
            raise SettingsError(f"--batch-size {self.batch_size}: expected at most 60000, the number of images")
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingsError(f"--learning-rate {self.learning_rate}: expected a positive number")
        _check_names("estimators", self.estimators, BANDIT_ESTIMATORS)

    @property
    def methods(self) -> tuple[tuple[str, bool], ...]:
        """The estimators as (name, whether it has a baseline), each once."""
        pairs = [(name.removesuffix("+baseline"), self.baseline or "+" in name) for name in self.estimators]
        return tuple(dict.fromkeys(pairs))


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise SettingsError(f"{_flag(name)} {value}: expected a whole number of at least 1")


def _check_each(name: str, values: Sequence[int], at_least: int) -> None:
    if not values or min(values) < at_least:
        shown = " ".join(map(str, values)) or "(nothing)"
        raise SettingsError(f"{_flag(name)} {shown}: expected whole numbers of at least {at_least}")


def _check_names(name: str, values: Sequence[str], known: Sequence[str]) -> None:
    allowed = [option for base in known for option in (base, f"{base}+baseline")]
    unknown = [value for value in values if value not in allowed]
    if unknown or not values:
        shown = " ".join(unknown) or "(nothing)"
        raise SettingsError(f"{_flag(name)} {shown}: expected some of {', '.join(allowed)}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")

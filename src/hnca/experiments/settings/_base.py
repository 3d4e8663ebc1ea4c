"""What every experiment lets a user set."""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Annotated

import tyro

from hnca.experiments.settings._checks import SettingsError, check_count, check_each
from hnca.experiments.settings.processes import ProcessSettings


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
    sharing: Annotated[ProcessSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=ProcessSettings)
    """Devices and processes."""

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

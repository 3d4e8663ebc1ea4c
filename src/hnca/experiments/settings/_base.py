"""What every experiment lets a user set."""

from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from hnca.experiments.settings._checks import SettingsError, check_count, check_each
from hnca.experiments.settings.data import DataSettings
from hnca.experiments.settings.running import KeepingSettings, ProcessSettings


@dataclass(frozen=True)
class TrainingSettings:
    """Sizes, rates and counts of an experiment that trains networks."""

    experiment: ClassVar[str]
    """What the experiment is called."""
    of_the_command: ClassVar[frozenset[str]] = frozenset(
        {"layers", "estimators", "epochs", "out", "overwrite", "data", "keeping", "sharing"}
    )
    """The settings that say which runs there are, how long, where and by what, but change no number of a run."""

    layers: tuple[int, ...] = (1, 2, 3)
    """Numbers of stochastic hidden layers to try."""
    width: int = 200
    """Units in a hidden layer."""
    epochs: int = 100
    """Passes over the training images."""
    seeds: int = 5
    """How many independent networks to train, together."""
    batch_size: int = 50
    """Images an update."""
    learning_rate: float = 1e-4
    """Of Adam."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs")
    """Where to write the runs and the figures; runs that are there already are continued."""
    overwrite: bool = False
    """Begin these runs anew instead."""
    data: Annotated[DataSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=DataSettings)
    """Images."""
    keeping: Annotated[KeepingSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=KeepingSettings)
    """Checkpoints, checks, shards and display."""
    sharing: Annotated[ProcessSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=ProcessSettings)
    """Devices and processes."""

    def __post_init__(self):
        check_each("layers", self.layers)
        for name in ("width", "epochs", "seeds", "batch_size"):
            check_count(name, getattr(self, name))
        if not (isfinite(self.learning_rate) and self.learning_rate > 0):
            raise SettingsError(f"--learning-rate {self.learning_rate}: expected a positive number")

    def determining(self) -> dict[str, Any]:
        """Returns the settings that determine the numbers of a run of given depth and estimator, by name."""
        return {name: value for name, value in asdict(self).items() if name not in self.of_the_command}

    def is_tested(self, epoch: int) -> bool:
        """Returns whether the test images are measured after this epoch (1, 2, ...)."""
        return True

"""What every experiment lets a user set."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import tyro

from hnca.experiments.method_rows import Needs
from hnca.experiments.settings._checks import SettingsError, check_count, check_each
from hnca.experiments.settings.data import DataSettings
from hnca.experiments.settings.optimiser import OptimiserSettings
from hnca.experiments.settings.running import ProcessSettings, RunningSettings


class Scale(NamedTuple):
    """What a figure of the paper needs in full.

    Attributes:
        estimators: those it compares.
        epochs: how long.
        seeds: how many.
        options: what else its settings say.
    """

    estimators: tuple[str, ...]
    epochs: int
    seeds: int
    options: Mapping[str, Any] = {}


@dataclass(frozen=True)
class TrainingSettings(OptimiserSettings):
    """Sizes, rates and counts of an experiment that trains networks."""

    experiment: ClassVar[str]
    """What the experiment is called."""
    learns_from: ClassVar[frozenset[Needs]]
    """What there is for an estimator to learn from."""
    figures: ClassVar[Mapping[int, Scale]] = {}
    """What the paper's figures of the experiment need, by their numbers."""
    of_the_command: ClassVar[frozenset[str]] = frozenset(
        {"layers", "estimators", "epochs", "start_from", "out", "overwrite", "data", "running", "processes"}
    )
    """The settings that say which runs there are, where and how long, from what and by what they are trained; what of
    them changes a number has another place in a run's configuration."""
    unsaid: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(OptimiserSettings)) - {"learning_rate"}
    """The settings of which a run's configuration says only what is not as it is by default."""

    layers: tuple[int, ...] = (1, 2, 3)
    """Numbers of stochastic hidden layers to try."""
    width: int = 200
    """How many units a hidden layer has."""
    epochs: int = 100
    """How many passes over the training images each network makes."""
    seeds: int = 5
    """How many independent networks to train, together."""
    batch_size: int = 50
    """How many images an update sees. What is left of an epoch's images after whole batches, it leaves out."""
    start_from: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """A run's directory, such as runs/vae/2-hnca, with whose last parameters the networks begin in place of fresh ones.
    Rates, the optimiser's and the estimator's state begin anew."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs")
    """Where to write the runs and the figures; runs that are there already are continued."""
    overwrite: bool = False
    """Begin runs of these names anew, whatever is there, instead of continuing them."""
    data: Annotated[DataSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=DataSettings)
    """Images."""
    running: Annotated[RunningSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=RunningSettings)
    """Checkpoints, checks, shards and display."""
    processes: Annotated[ProcessSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=ProcessSettings)
    """Devices and processes."""

    def __post_init__(self):
        super().__post_init__()
        check_each("layers", self.layers)
        for name in ("width", "epochs", "seeds", "batch_size"):
            check_count(name, getattr(self, name))
        if 0 < self.rate_decay < self.epochs:
            expected = f"expected at least --epochs {self.epochs}, since nothing is learned at a rate of 0"
            raise SettingsError(f"--rate-decay {self.rate_decay}: {expected}")

    @property
    def all_estimators(self) -> tuple[str, ...]:
        """The names of the estimators to train with, each once."""
        raise NotImplementedError

    def determining(self) -> dict[str, Any]:
        """Returns the settings that determine the numbers of a run of given depth and estimator, by name."""
        default = {field.name: field.default for field in fields(self) if field.name in self.unsaid}
        chosen = {name: value for name, value in asdict(self).items() if name not in self.of_the_command}
        return {name: value for name, value in chosen.items() if name not in default or value != default[name]}

    def is_tested(self, epoch: int) -> bool:
        """Returns whether the test images are measured after this epoch (1, 2, ...)."""
        return True

    def refuse_overridden(self, arguments: Sequence[str]) -> None:
        """Raises a SettingsError for an option among the arguments of the command line that another one overrides."""


@dataclass(frozen=True)
class SeldomTestedSettings(TrainingSettings):
    """Of an experiment whose test takes as long as some epochs: by default the last one alone is tested."""

    test_epochs: tuple[int, ...] = ()
    """Epochs after which the test images are measured; the last one always is. Later ones than --epochs are for whoever
    continues the runs."""

    def __post_init__(self):
        super().__post_init__()
        if self.test_epochs:
            check_each("test_epochs", self.test_epochs)

    def is_tested(self, epoch: int) -> bool:
        return epoch == self.epochs or epoch in self.test_epochs

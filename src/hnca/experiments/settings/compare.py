"""The settings of a comparison of estimators."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from hnca.experiments.methods import is_seldom_compared, names, takes_categories
from hnca.experiments.registry import EXPERIMENTS, settings_class
from hnca.experiments.settings._base import TrainingSettings
from hnca.experiments.settings._checks import (
    SettingsError,
    check_categories,
    check_count,
    check_each,
    check_names,
    check_once,
    check_run,
    check_widths,
)
from hnca.experiments.settings.data import DataSettings

GROUPS = 20
"""The parts of the draws whose means are compared."""


@dataclass(frozen=True)
class CompareSettings:
    """Measure bias, variance and time of every estimator on one network at one set of parameters."""

    experiment: str = "vae"
    """Which experiment the network is of: bandit or vae."""
    layers: tuple[int, ...] = (1, 2, 3)
    """Numbers of stochastic hidden layers. Not with --run."""
    epochs: tuple[int, ...] = (0,)
    """After how many epochs of training (by HNCA with a baseline) to compare; 0 is at initialisation. Not with
    --run."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None
    """A run's directory, such as runs/vae/2-hnca: compare on its first networks, and train none."""
    seeds: int = 1
    """Networks, each with parameters of its own; the tables have means and standard deviations."""
    batches: int = 1
    """Batches of images on each network; likewise."""
    data: Annotated[DataSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=DataSettings)
    """Images."""
    estimators: tuple[str, ...] = ()
    """Names as for hnca vae and hnca bandit; by default all that apply but those that cost much or are another method
    on most networks (local-expectation, unordered-set, hnca-1, hnca-4, coupled-1, coupled-4)."""
    width: int = 200
    """How many units a hidden layer has. Not with --run."""
    encoder: Literal["linear", "nonlinear"] = "linear"
    """How the auto-encoders' latent layers are joined to those below: see hnca vae. Not with --run."""
    decoder: Literal["linear", "nonlinear"] = "linear"
    """Likewise downwards: see hnca vae. Not with --run."""
    categories: int | None = None
    """Latent units of so many categories, of auto-encoders: see hnca vae. Not with --run."""
    batch_size: int = 50
    """Images in a batch that all are compared on, and an update of the training."""
    draws: int = 400
    """Estimates of each, of which mean and variance are taken: a multiple of 20, from 40 on."""
    reference_draws: int = 2000
    """Estimates of the unbiased one whose mean stands for the true gradient: a multiple of 20, from 40 on."""
    adaptation: int = 1000
    """Calls before the draws, in which baselines and temperatures settle; of a running mean 99% does in 460."""
    repeats: int = 5
    """Timings of each, in turns, of which the median is taken."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/comparison")
    """Where to write comparison.json, comparison.md and comparison.png."""
    overwrite: bool = False
    """Replace a comparison that is there."""

    def __post_init__(self):
        check_names("experiment", [self.experiment], tuple(EXPERIMENTS))
        check_each("layers", self.layers)
        if not self.epochs or min(self.epochs) < 0:
            shown = " ".join(map(str, self.epochs)) or "(nothing)"
            raise SettingsError(f"--epochs {shown}: expected whole numbers of at least 0")
        for name in ("seeds", "batches", "width", "batch_size", "adaptation", "repeats"):
            check_count(name, getattr(self, name))
        for name, given in self._network.items():
            kind = settings_class(self.experiment)
            if self.run is not None or name not in {field.name for field in fields(kind)}:
                where = f"--run {self.run}" if self.run is not None else f"--experiment {self.experiment}"
                raise SettingsError(f"--{name} {given}: expected none with {where}, whose networks are as they are")
        for name in ("draws", "reference_draws"):
            count = getattr(self, name)
            if count < 2 * GROUPS or count % GROUPS:
                flag = "--" + name.replace("_", "-")
                raise SettingsError(f"{flag} {count}: expected a multiple of {GROUPS} from {2 * GROUPS} on")
        for name in ("layers", "epochs", "estimators"):
            check_once(name, getattr(self, name))
        if self.estimators:
            check_names("estimators", self.estimators, names(settings_class(self.experiment).learns_from))
        check_categories(self.categories, self.estimators)
        if self.run is None:
            self.check_fit(self.width, self.categories)

    def check_fit(self, width: int, categories: int | None) -> None:
        """Raises a SettingsError unless each estimator takes layers of so many units, of categories or binary."""
        check_widths(width, categories or 2, self.estimators)

    def refuse_overridden(self, arguments: Sequence[str]) -> None:
        """Raises a SettingsError for an argument that a run's networks overrule."""
        given = {argument.partition("=")[0] for argument in arguments}
        for flag in ("--layers", "--width", "--epochs"):
            if self.run is not None and flag in given:
                raise SettingsError(f"{flag}: expected none with --run {self.run}, whose networks are as they are")

    def require_run(self) -> None:
        """Raises a SettingsError if the run whose networks are to be compared is not there."""
        check_run("run", self.run)

    def training(self, layers: int) -> TrainingSettings:
        """Returns the settings by which networks of one depth are trained for the comparison."""
        chosen: dict[str, Any] = {
            "width": self.width,
            "batch_size": self.batch_size,
            "data": self.data,
            **self._network,
        }
        kind = settings_class(self.experiment)
        return kind(layers=(layers,), epochs=max(1, *self.epochs), seeds=self.seeds, **chosen)

    @property
    def _network(self) -> dict[str, str | int]:
        """What of its auto-encoders is not as it is everywhere."""
        usual = {"encoder": "linear", "decoder": "linear", "categories": None}
        return {name: given for name, value in usual.items() if (given := getattr(self, name)) != value}

    @property
    def names(self) -> tuple[str, ...]:
        """The estimators to compare."""
        return self.estimators or tuple(name for name in self._comparable if not is_seldom_compared(name))

    @property
    def _comparable(self) -> tuple[str, ...]:
        known = names(settings_class(self.experiment).learns_from)
        return known if self.categories is None else tuple(name for name in known if takes_categories(name))

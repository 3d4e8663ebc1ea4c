"""The settings of a figure of the paper: everything it needs, at the paper's scale unless shrunk."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import tyro

from hnca.experiments.registry import EXPERIMENTS, settings_class
from hnca.experiments.settings._base import Scale, TrainingSettings
from hnca.experiments.settings._checks import SettingsError, check_count, check_each, check_names
from hnca.experiments.settings.data import DataSettings
from hnca.experiments.settings.running import ProcessSettings, RunningSettings

_DEPTHS = (1, 2, 3)


def _figures() -> dict[int, tuple[type[TrainingSettings], Scale]]:
    """Returns, by number, whose figures there are and what they need."""
    kinds = map(settings_class, EXPERIMENTS)
    return {number: (kind, scale) for kind in kinds for number, scale in kind.figures.items()}


@dataclass(frozen=True)
class FigureSettings:
    """Run everything that a figure of the paper needs, skipping what is there, and draw it.

    Figures 1, 4 and 5 are bandits (4 with baselines, 5 with a convolutional torso), 3 auto-encoders, 6 ablations.
    """

    number: Annotated[int, tyro.conf.Positional, tyro.conf.arg(metavar="1|3|4|5|6")]
    """The number of the figure."""
    epochs: int | None = None
    """How many epochs to train, if not the figure's own 100 or 840."""
    seeds: int | None = None
    """How many networks to train, if not the figure's own 5 or 20."""
    estimators: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--methods"])] = ()
    """Which of the figure's estimators to train with; by default all of them."""
    layers: tuple[int, ...] = _DEPTHS
    """Numbers of stochastic layers to try."""
    dry_run: bool = False
    """Only list the runs, and which of them are on disk."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where to write; by default runs/figureN."""
    overwrite: bool = False
    """Begin runs of these names anew, whatever is there, instead of continuing them."""
    data: Annotated[DataSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=DataSettings)
    """Images; the paper's are all of MNIST."""
    running: Annotated[RunningSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=RunningSettings)
    """Checkpoints, checks, shards and display."""
    processes: Annotated[ProcessSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=ProcessSettings)
    """Devices and processes."""

    def __post_init__(self):
        if self.number not in _figures():
            raise SettingsError(f"figure {self.number}: expected one of {', '.join(map(str, sorted(_figures())))}")
        for name in ("epochs", "seeds"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if not self.layers:  # a single one may have been taken for the number, as the last word of the line
            raise SettingsError("--layers (nothing): expected whole numbers, and the figure's number before --layers")
        check_each("layers", self.layers)
        if self.estimators:
            check_names("estimators", self.estimators, self.all_estimators)

    def refuse_number_in_list(self, arguments: Sequence[str]) -> None:
        """Raises a SettingsError if the parser took the last of --layers at the line's end for the figure's number."""
        listed = list(takewhile(lambda word: not word.startswith("-"), reversed(arguments)))
        if list(arguments[: -len(listed)][-1:]) == ["--layers"] and len(listed) > len(self.layers):
            numbers = ", ".join(map(str, sorted(_figures())))
            raise SettingsError(f"figure: expected one of {numbers} before --layers {' '.join(reversed(listed))}")

    @property
    def training(self) -> TrainingSettings:
        """The settings of the experiment."""
        kind, scale = _figures()[self.number]
        chosen: dict[str, Any] = {
            "epochs": scale.epochs if self.epochs is None else self.epochs,
            "seeds": scale.seeds if self.seeds is None else self.seeds,
            "estimators": self.estimators or scale.estimators,
            "layers": self.layers,
            "out": Path(f"runs/figure{self.number}") if self.out is None else self.out,
            "overwrite": self.overwrite,
            "data": self.data,
            "running": self.running,
            "processes": self.processes,
        }
        return kind(**chosen, **scale.options)

    @property
    def all_estimators(self) -> tuple[str, ...]:
        """The estimators that the figure compares in full."""
        return _figures()[self.number][1].estimators

    def remark(self, epochs: int, seeds: int, estimators: int, depths: int) -> str:
        """Returns what the caption says of a figure that shows so many of each: nothing at full scale."""
        _, scale = _figures()[self.number]
        shrunk = {
            "epochs": (epochs, scale.epochs),
            "seeds": (seeds, scale.seeds),
            "estimators": (estimators, len(scale.estimators)),
            "depths": (depths, len(_DEPTHS)),
        }
        return ", ".join(f"{n} of {full} {name}" for name, (n, full) in shrunk.items() if n < full)

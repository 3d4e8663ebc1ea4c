"""The settings of a figure of the paper: everything it needs, at the paper's scale unless shrunk."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from hnca.experiments.settings._checks import check_count, check_each, check_names
from hnca.experiments.settings.bandit import BanditSettings
from hnca.experiments.settings.running import KeepingSettings, ProcessSettings
from hnca.experiments.settings.vae import ABLATIONS, VAESettings


class _Scale(NamedTuple):
    """What a figure needs in full.

    Attributes:
        settings: of its experiment.
        methods: the estimators it compares.
        epochs: how long.
        seeds: how many.
        options: what else its settings say.
    """

    settings: type[BanditSettings | VAESettings]
    methods: tuple[str, ...]
    epochs: int
    seeds: int
    options: dict[str, Any]


_OF_AUTO_ENCODERS = (
    "hnca",
    "hnca+baseline",
    "reinforce",
    "reinforce+baseline",
    "loo",
    "loo-independent",
    "disarm",
    "arm",
)
_SCALES = {
    1: _Scale(BanditSettings, ("hnca", "reinforce"), 100, 5, {}),
    3: _Scale(VAESettings, _OF_AUTO_ENCODERS, 840, 5, {}),
    4: _Scale(BanditSettings, ("hnca+baseline", "reinforce+baseline"), 100, 5, {}),
    5: _Scale(BanditSettings, ("hnca", "reinforce"), 100, 20, {"torso": "conv"}),
    6: _Scale(VAESettings, ("hnca", "hnca+baseline"), 840, 5, {"ablations": ABLATIONS}),
}
_DEPTHS = (1, 2, 3)


@dataclass(frozen=True)
class FigureSettings:
    """Run everything that a figure of the paper needs, skipping what is there, and draw it.

    Figures 1, 4 and 5 are bandits (4 with baselines, 5 with a convolutional torso), 3 auto-encoders, 6 ablations.
    """

    number: Annotated[Literal[1, 3, 4, 5, 6], tyro.conf.Positional]
    """Which figure."""
    epochs: int | None = None
    """Fewer (or more) than the figure's 100 or 840."""
    seeds: int | None = None
    """Fewer (or more) than the figure's 5 or 20."""
    methods: tuple[str, ...] = ()
    """Some of the figure's estimators; by default all of them."""
    layers: tuple[int, ...] = _DEPTHS
    """Numbers of stochastic layers."""
    dry_run: bool = False
    """Only list the runs, and which of them are on disk."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where to write; by default runs/figureN."""
    overwrite: bool = False
    """Begin these runs anew."""
    keeping: Annotated[KeepingSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=KeepingSettings)
    """Checkpoints, checks, shards and display."""
    sharing: Annotated[ProcessSettings, tyro.conf.OmitArgPrefixes] = field(default_factory=ProcessSettings)
    """Devices and processes."""

    def __post_init__(self):
        for name in ("epochs", "seeds"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_each("layers", self.layers)
        if self.methods:
            check_names("methods", self.methods, _SCALES[self.number].methods)

    @property
    def training(self) -> BanditSettings | VAESettings:
        """The settings of the experiment."""
        scale = _SCALES[self.number]
        chosen: dict[str, Any] = {
            "epochs": scale.epochs if self.epochs is None else self.epochs,
            "seeds": scale.seeds if self.seeds is None else self.seeds,
            "estimators": self.methods or scale.methods,
            "layers": self.layers,
            "out": Path(f"runs/figure{self.number}") if self.out is None else self.out,
            "overwrite": self.overwrite,
            "keeping": self.keeping,
            "sharing": self.sharing,
        }
        return scale.settings(**chosen, **scale.options)

    @property
    def all_methods(self) -> tuple[str, ...]:
        """The estimators that the figure compares in full."""
        return _SCALES[self.number].methods

    def remark(self, epochs: int, seeds: int, estimators: int, depths: int) -> str:
        """Returns what the caption says of a figure that shows so many of each: nothing at full scale."""
        scale = _SCALES[self.number]
        shrunk = {
            "epochs": (epochs, scale.epochs),
            "seeds": (seeds, scale.seeds),
            "estimators": (estimators, len(scale.methods)),
            "depths": (depths, len(_DEPTHS)),
        }
        return ", ".join(f"{n} of {full} {name}" for name, (n, full) in shrunk.items() if n < full)

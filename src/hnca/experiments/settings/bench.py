"""The settings of the benchmark."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hnca.experiments.methods import names
from hnca.experiments.registry import EXPERIMENTS
from hnca.experiments.settings._checks import SettingsError, check_count, check_each, check_file, check_names


@dataclass(frozen=True)
class BenchSettings:
    """Time one update of every estimator beside backpropagation through the same network."""

    experiments: tuple[str, ...] = ("bandit", "vae")
    """Whose networks to update: names of experiments."""
    layers: tuple[int, ...] = (1, 2, 3)
    """Numbers of stochastic hidden layers."""
    width: tuple[int, ...] = (200,)
    """How many units a hidden layer has."""
    batch_size: tuple[int, ...] = (50,)
    """How many images an update sees."""
    seeds: tuple[int, ...] = (1,)
    """How many networks are trained together."""
    estimators: tuple[str, ...] = ("reinforce", "hnca", "loo", "disarm")
    """Gradient estimators; the bandit is timed with those that can learn from a reward."""
    updates: int = 100
    """How many updates one compiled call makes."""
    repeats: int = 9
    """How many calls of each are timed, in turns; their median is reported."""
    entropy: Literal["analytic", "sampled"] = "analytic"
    """How the entropies in the auto-encoders' bound are had: see hnca vae."""
    encoder: Literal["linear", "nonlinear"] = "linear"
    """How the auto-encoders' latent layers are joined to those below: see hnca vae."""
    decoder: Literal["linear", "nonlinear"] = "linear"
    """Likewise downwards: see hnca vae."""
    messages: bool = False
    """Time the message kernel alone instead."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to write the rows, one JSON object a line."""
    plot: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to draw the time of an update by depth, as PNG, PDF or SVG."""
    overwrite: bool = False
    """Replace these files also if they are something else."""

    def __post_init__(self):
        for name in ("layers", "width", "batch_size", "seeds"):
            check_each(name, getattr(self, name))
        for name in ("updates", "repeats"):
            check_count(name, getattr(self, name))
        check_names("experiments", self.experiments, tuple(EXPERIMENTS))
        check_names("estimators", self.estimators, names({"reward", "function"}))
        for name in ("json", "plot"):
            check_file(name, getattr(self, name))
        if self.plot is not None and self.plot.suffix not in (".png", ".pdf", ".svg"):
            raise SettingsError(f"--plot {self.plot}: expected a name that ends in .png, .pdf or .svg")
        if self.plot is not None and self.messages:
            raise SettingsError(f"--plot {self.plot}: expected no --messages, which has no depths")
        if self.updates * max(self.batch_size) > 60_000:
            raise SettingsError(
                f"--updates {self.updates}: expected at most {60_000 // max(self.batch_size)}, "
                f"as there are 60000 images and a batch takes {max(self.batch_size)}"
            )

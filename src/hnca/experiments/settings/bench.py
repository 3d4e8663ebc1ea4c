"""The settings of the benchmark."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hnca.experiments.methods import names
from hnca.experiments.registry import EXPERIMENTS, settings_class
from hnca.experiments.settings._checks import (
    SettingsError,
    check_count,
    check_each,
    check_file,
    check_names,
    check_once,
    check_widths,
)


@dataclass(frozen=True)
class BenchSettings:
    """Time one update of every estimator beside backpropagation through the same network."""

    experiments: tuple[str, ...] = ("bandit", "vae")
    """Whose networks to update: bandit, vae."""
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
        for name in ("experiments", "layers", "width", "batch_size", "seeds", "estimators"):
            check_once(name, getattr(self, name))
        check_widths(max(self.width), 2, self.estimators)
        for name in ("json", "plot"):
            check_file(name, getattr(self, name))
        if self.plot is not None and self.plot.suffix not in (".png", ".pdf", ".svg"):
            raise SettingsError(f"--plot {self.plot}: expected a name that ends in .png, .pdf or .svg")
        if self.plot is not None and self.plot == self.json:
            raise SettingsError(f"--plot {self.plot}: is the file of --json; expected another")
        self._refuse_without_effect()
        if self.updates * max(self.batch_size) > 60_000:
            raise SettingsError(
                f"--updates {self.updates}: expected at most {60_000 // max(self.batch_size)}, "
                f"as there are 60000 images and a batch takes {max(self.batch_size)}"
            )

    def _refuse_without_effect(self) -> None:
        """Raises a SettingsError for an option that what is timed does not have."""
        changed = [field.name for field in fields(self) if getattr(self, field.name) != field.default]
        for name in changed if self.messages else ():
            if name not in {"messages", "repeats", "json", "overwrite"}:
                raise SettingsError(
                    f"--{name.replace('_', '-')}: expected none with --messages, which times no updates"
                )
        kinds = {name: settings_class(name) for name in self.experiments}
        known = {field.name for kind in kinds.values() for field in fields(kind)}
        for name in ("entropy", "encoder", "decoder"):
            if name in changed and name not in known:
                raise SettingsError(f"--{name}: expected none with --experiments {' '.join(kinds)}, which have no such")
        for name, kind in kinds.items():
            if not set(self.estimators) & set(names(kind.learns_from)):
                raise SettingsError(
                    f"--experiments {name}: can be updated by none of --estimators {' '.join(self.estimators)}"
                )

"""The settings of the bandit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from hnca.experiments.settings._base import TrainingSettings
from hnca.experiments.settings._checks import SettingsError, check_names
from hnca.experiments.settings.vae import VAE_ESTIMATORS

BANDIT_ESTIMATORS = (
    "hnca",
    "hnca+baseline",
    "hnca+learned",
    "reinforce",
    "reinforce+baseline",
    "reinforce+learned",
    "nvil",
)
"""Estimators that can learn from an observed reward; `+baseline` is a running mean, `+learned` one of the inputs."""


@dataclass(frozen=True)
class BanditSettings(TrainingSettings):
    """Train agents on labelled images as a contextual bandit from rewards alone (Young 2022, Section 1.3, Figure 1)."""

    experiment: ClassVar[str] = "bandit"
    of_the_command: ClassVar[frozenset[str]] = TrainingSettings.of_the_command | {"baseline"}

    estimators: tuple[str, ...] = ("hnca", "reinforce")
    """Gradient estimators to compare: hnca, reinforce, each also with +baseline or +learned, and nvil."""
    torso: Literal["none", "conv"] = "none"
    """What stands between the image and the first stochastic layer: conv is two layers of convolutions (Figure 5)."""
    baseline: bool = False
    """Give every estimator a running mean of the reward (decay 0.99) as its baseline."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/bandit")
    """Where to write the runs and the figure; runs that are there already are continued."""

    def __post_init__(self):
        super().__post_init__()
        unfit = [name for name in self.estimators if name in VAE_ESTIMATORS and name not in BANDIT_ESTIMATORS]
        if unfit:
            raise SettingsError(
                f"--estimators {' '.join(unfit)}: evaluates or differentiates the objective as a function, but the "
                f"reward is observed once; expected some of {', '.join(BANDIT_ESTIMATORS)}"
            )
        check_names("estimators", self.estimators, BANDIT_ESTIMATORS)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the estimators to train with, each once."""
        names = [_with_baseline(name) if self.baseline else name for name in self.estimators]
        return tuple(dict.fromkeys(names))


def _with_baseline(name: str) -> str:
    """Returns the estimator's name with a running mean, unless it has a baseline of its own."""
    return name if name == "nvil" or "+" in name else f"{name}+baseline"

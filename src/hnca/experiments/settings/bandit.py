"""The settings of the bandit."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from hnca.experiments.method_rows import Needs
from hnca.experiments.methods import described, names, with_running_mean
from hnca.experiments.settings._base import Scale, TrainingSettings
from hnca.experiments.settings._checks import SettingsError, check_names

_WHICH = (
    "Gradient estimators to compare. Those with a star also with +baseline, a running mean, or +learned, a baseline "
    f"learned from the inputs.\n{described({'reward'})}"
)


@dataclass(frozen=True)
class BanditSettings(TrainingSettings):
    """Train agents on labelled images as a contextual bandit from rewards alone (Young 2022, Section 1.3, Figure 1)."""

    experiment: ClassVar[str] = "bandit"
    learns_from: ClassVar[frozenset[Needs]] = frozenset({"reward"})
    figures: ClassVar[Mapping[int, Scale]] = {
        1: Scale(("hnca", "reinforce"), 100, 5),
        4: Scale(("hnca+baseline", "reinforce+baseline"), 100, 5),
        5: Scale(("hnca", "reinforce"), 100, 20, {"torso": "conv"}),
    }
    of_the_command: ClassVar[frozenset[str]] = TrainingSettings.of_the_command | {"baseline"}

    estimators: Annotated[tuple[str, ...], tyro.conf.arg(help=_WHICH)] = ("hnca", "reinforce")
    torso: Literal["none", "conv"] = "none"
    """What stands between the image and the first stochastic layer: conv is two layers of convolutions (Figure 5)."""
    baseline: bool = False
    """Give every estimator that takes a baseline, and is named without, a running mean of the reward (decay 0.99)."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/bandit")
    """Where to write the runs and the figure; runs that are there already are continued."""

    def __post_init__(self):
        super().__post_init__()
        known = names(self.learns_from)
        unfit = [name for name in self.estimators if name in names({"function", "bound", "encoder", "prior"})]
        if unfit:
            raise SettingsError(
                f"--estimators {' '.join(unfit)}: evaluates or differentiates the objective as a function, but the "
                f"reward is observed once; expected some of {', '.join(known)}"
            )
        check_names("estimators", self.estimators, known)
        if self.baseline and all(with_running_mean(name) == name for name in self.estimators):
            raise SettingsError(
                f"--baseline: {' '.join(self.estimators)} take none, or have one; expected an estimator that takes one"
            )

    @property
    def all_estimators(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(with_running_mean, self.estimators) if self.baseline else self.estimators))

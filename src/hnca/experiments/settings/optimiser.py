"""The settings of how parameters are updated, the same for every experiment."""

from dataclasses import dataclass, fields
from typing import Literal

from hnca.experiments.settings._checks import SettingsError, check_epochs, check_positive


@dataclass(frozen=True)
class OptimiserSettings:
    """Rates, and what makes a step of a gradient; by default the paper's."""

    learning_rate: float = 1e-4
    """The learning rate of the optimiser, by which parameters are updated."""
    optimiser: Literal["adam", "adamax", "rmsprop", "sgd"] = "adam"
    """What makes a step of a gradient."""
    decays: tuple[float, float] = (0.9, 0.999)
    """Decays of Adam's and Adamax' running means of the gradient and its size; RMSProp takes the second, sgd none."""
    epsilon: float = 1e-8
    """What Adam, Adamax and RMSProp add to the gradient's size before they divide by it."""
    rate_warm_up: int = 0
    """Over how many epochs at the beginning every rate rises, update by update, from 0 to its full size."""
    rate_decay: int = 0
    """After how many epochs every rate has fallen to 0, along a cosine; by default (0) it stays."""

    def __post_init__(self):
        check_positive("learning_rate", self.learning_rate)
        check_positive("epsilon", self.epsilon)
        if len(self.decays) != 2 or not all(0 <= decay < 1 for decay in self.decays):
            raise SettingsError(f"--decays {' '.join(map(str, self.decays))}: expected two numbers from 0 to below 1")
        usual = {field.name: field.default for field in fields(OptimiserSettings)}
        for name in ("decays", "epsilon"):
            if self.optimiser == "sgd" and getattr(self, name) != usual[name]:
                raise SettingsError(f"--{name}: expected none with --optimiser sgd, which has no running means")
        for name in ("rate_warm_up", "rate_decay"):
            check_epochs(name, getattr(self, name))
        if 0 < self.rate_decay <= self.rate_warm_up:
            raise SettingsError(f"--rate-decay {self.rate_decay}: expected more than --rate-warm-up, or 0")

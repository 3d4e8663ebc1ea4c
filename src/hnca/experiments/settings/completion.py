"""The settings of the completion of half images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from hnca.experiments.method_rows import Needs
from hnca.experiments.methods import described, names
from hnca.experiments.settings._base import SeldomTestedSettings
from hnca.experiments.settings._checks import SettingsError, check_count, check_names, check_widths

_SINGLE: frozenset[Needs] = frozenset({"reward", "function"})
_SEVERAL: frozenset[Needs] = frozenset({"bound", "prior"})
_WHICH = (
    "Gradient estimators to compare. Those with a star also with +baseline, a running mean, or +learned, a baseline "
    f"learned from the inputs. They train on the bound of one sample,\n{described(_SINGLE)};\n"
    f"or on the bound of several, --samples:\n{described(_SEVERAL)}."
)


@dataclass(frozen=True)
class CompletionSettings(SeldomTestedSettings):
    """Predict the lower halves of images from the upper ones, by stochastic feedforward networks."""

    experiment: ClassVar[str] = "complete"
    learns_from: ClassVar[frozenset[Needs]] = _SINGLE

    estimators: Annotated[tuple[str, ...], tyro.conf.arg(help=_WHICH)] = (
        "hnca+baseline",
        "reinforce+baseline",
        "disarm",
        "straight-through",
        "vimco",
        "em",
    )
    learning_rate: float = 3e-3
    """The learning rate of the optimiser, by which parameters are updated."""
    layers: tuple[int, ...] = (2,)
    """Numbers of stochastic hidden layers to try."""
    samples: int = 5
    """Samples of the bound that em, local-disarm and vimco train on, in place of 5."""
    test_samples: int = 100
    """Samples of the estimate of log p(lower half | upper half) on the test images."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/complete")
    """Where to write the runs and the figure; runs that are there already are continued."""

    def __post_init__(self):
        super().__post_init__()
        known = names(_SINGLE | _SEVERAL)
        unfit = [name for name in self.estimators if name in names({"encoder"})]
        if unfit:
            raise SettingsError(
                f"--estimators {' '.join(unfit)}: learns an encoder, but samples are drawn from the prior p(h | upper "
                f"half) here, as which it is em; expected some of {', '.join(known)}"
            )
        check_names("estimators", self.estimators, known)
        check_widths(self.width, 2, self.estimators)
        for name in ("samples", "test_samples"):
            check_count(name, getattr(self, name))
        if self.samples < 2:
            raise SettingsError(f"--samples {self.samples}: expected at least 2, as each is held against the others")

    @property
    def all_estimators(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.estimators))

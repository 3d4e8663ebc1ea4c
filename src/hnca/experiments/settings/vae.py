"""The settings of the variational auto-encoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from hnca.experiments.settings._base import TrainingSettings
from hnca.experiments.settings._checks import SettingsError, check_count, check_each, check_names

VAE_ESTIMATORS = (
    "hnca",
    "hnca+baseline",
    "hnca+learned",
    "reinforce",
    "reinforce+baseline",
    "reinforce+learned",
    "loo",
    "loo-independent",
    "loo-4",
    "loo-hnca",
    "disarm",
    "arm",
    "muprop",
    "nvil",
    "local-expectation",
    "rebar",
    "relax",
    "straight-through",
    "gumbel-softmax",
    "gumbel-softmax-st",
    "reinmax",
)
"""Estimators for a function that is known; `+baseline` is a running mean, `+learned` one of the inputs."""

BOUND_ESTIMATORS = ("vimco",)
"""Estimators of the importance-weighted bound, which has to have sampled entropies."""

ABLATIONS = ("all-children", "full-reward")
"""What can be left out of HNCA: the pruning of children (Young 2022, Eq 12), the pruning of upstream components."""

# Help would break its lines where a docstring of several lines does.
_WHICH = (
    "Gradient estimators of the encoder to compare: hnca, reinforce, each also with +baseline or +learned; loo, "
    "loo-independent, loo-4, loo-hnca, disarm, arm, muprop, nvil, local-expectation, rebar, relax, straight-through, "
    "gumbel-softmax, gumbel-softmax-st, reinmax; with --entropy sampled also vimco, which trains on the bound of 5 "
    "samples."
)


@dataclass(frozen=True)
class VAESettings(TrainingSettings):
    """Train hierarchical variational auto-encoders of binary units (Young 2022, Section 2, Figures 3 and 6)."""

    experiment: ClassVar[str] = "vae"
    of_the_command: ClassVar[frozenset[str]] = TrainingSettings.of_the_command | {"ablations"}

    estimators: Annotated[tuple[str, ...], tyro.conf.arg(help=_WHICH)] = (
        "hnca",
        "hnca+baseline",
        "reinforce",
        "reinforce+baseline",
        "loo",
        "disarm",
    )
    ablations: tuple[str, ...] = ()
    """Beside every HNCA, also train it without one of its prunings: all-children, full-reward (Figure 6)."""
    encoder: Literal["linear", "nonlinear"] = "linear"
    """How a latent layer is joined to the one below: nonlinear is by two hidden layers of leaky rectifiers between."""
    decoder: Literal["linear", "nonlinear"] = "linear"
    """The same for the way back."""
    entropy: Literal["analytic", "sampled"] = "analytic"
    """The encoder's entropies in the bound: sampled is -log q of the sample, cheaper for HNCA at some variance."""
    test_epochs: tuple[int, ...] = ()
    """Epochs after which the test images are measured; the last one always is."""
    bound_samples: int = 100
    """Samples of the importance-weighted bound on the test images."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/vae")
    """Where to write the runs and the figures; runs that are there already are continued."""

    def __post_init__(self):
        super().__post_init__()
        check_names("estimators", self.estimators, VAE_ESTIMATORS + BOUND_ESTIMATORS)
        bounds = [name for name in self.estimators if name in BOUND_ESTIMATORS]
        if bounds and self.entropy != "sampled":
            raise SettingsError(f"--estimators {' '.join(bounds)}: expected --entropy sampled, for weights p / q")
        if self.ablations:
            check_names("ablations", self.ablations, ABLATIONS)
            if not any(name.startswith("hnca") for name in self.estimators):
                raise SettingsError(f"--ablations {' '.join(self.ablations)}: expected hnca among the --estimators")
        if self.test_epochs:
            check_each("test_epochs", self.test_epochs)
        check_count("bound_samples", self.bound_samples)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the estimators to train with, each once, an ablation after what it is taken from."""
        names = []
        for name in self.estimators:
            names.append(name)
            kind, plus, baseline = name.partition("+")
            if kind == "hnca":
                names += [f"{kind}-{ablation}{plus}{baseline}" for ablation in self.ablations]
        return tuple(dict.fromkeys(names))

    def is_tested(self, epoch: int) -> bool:
        """Returns whether the test images are measured after this epoch (1, 2, ...)."""
        return epoch == self.epochs or epoch in self.test_epochs

"""The settings of the variational auto-encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from hnca.experiments.method_rows import Needs
from hnca.experiments.methods import ablations, described, names
from hnca.experiments.settings._base import Scale, SeldomTestedSettings, TrainingSettings
from hnca.experiments.settings._checks import SettingsError, check_categories, check_count, check_names, check_widths
from hnca.experiments.settings.data import DataSettings
from hnca.experiments.settings.protocol import Protocol, determined_by, refuse_overridden, said_by
from hnca.experiments.settings.recipe import RecipeSettings

ABLATIONS = ablations("hnca")
"""What can be left out of HNCA: the pruning of children (Young 2022, Eq 12), the pruning of upstream components."""
_RECIPE = frozenset(field.name for field in fields(RecipeSettings))

_WHICH = (
    "Gradient estimators of the encoder to compare. Those with a star also with +baseline, a running mean, or "
    f"+learned, a baseline learned from the inputs.\n{described({'reward', 'function', 'bound', 'encoder'})}, which "
    "needs --entropy sampled."
)


@dataclass(frozen=True)
class VAESettings(RecipeSettings, SeldomTestedSettings):
    """Train hierarchical variational auto-encoders of binary units (Young 2022, Section 2, Figures 3 and 6)."""

    experiment: ClassVar[str] = "vae"
    learns_from: ClassVar[frozenset[Needs]] = frozenset({"reward", "function"})
    figures: ClassVar[Mapping[int, Scale]] = {
        3: Scale(
            (
                "hnca",
                "hnca+baseline",
                "reinforce",
                "reinforce+baseline",
                "loo",
                "loo-independent",
                "disarm",
                "arm",
            ),
            840,
            5,
        ),
        6: Scale(("hnca", "hnca+baseline"), 840, 5, {"ablations": ABLATIONS}),
    }
    of_the_command: ClassVar[frozenset[str]] = TrainingSettings.of_the_command | {"ablations", "protocol"}
    unsaid: ClassVar[frozenset[str]] = TrainingSettings.unsaid | _RECIPE | {"categories"}

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
    """How a layer of the decoder is joined to the one above: as for --encoder."""
    categories: int | None = None
    """Latent units of so many categories, as in --width 20 --categories 10; by default units are 0 or 1."""
    entropy: Literal["analytic", "sampled"] = "analytic"
    """The encoder's entropies in the bound: sampled is -log q of the sample, cheaper for HNCA at some variance."""
    protocol: Protocol | None = None
    """Do as a paper does (young: Young 2022; disarm: Dong et al. 2020; rodeo: Shi et al. 2022) in all that is of rates,
    batches, images, first parameters and the prior, and refuse what differs. How long, and by which layers, is free."""
    bound_samples: int = 100
    """Samples of the importance-weighted bound on the test images."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/vae")
    """Where to write the runs and the figures; runs that are there already are continued."""

    def __post_init__(self):
        if self.protocol is not None:
            self._follow(self.protocol)
        RecipeSettings.__post_init__(self)
        SeldomTestedSettings.__post_init__(self)
        check_names("estimators", self.estimators, names({*self.learns_from, "bound", "encoder"}))
        check_categories(self.categories, self.estimators)
        check_widths(self.width, self.categories or 2, self.estimators)
        bounds = [name for name in self.estimators if name in names({"bound", "encoder"})]
        if bounds and self.entropy != "sampled":
            raise SettingsError(f"--estimators {' '.join(bounds)}: expected --entropy sampled, for weights p / q")
        if bounds and not self.learns_bound:
            given = "--free-bits" if self.free_bits else "--kl-weight or --kl-warm-up"
            raise SettingsError(f"--estimators {' '.join(bounds)}: expected no {given}, since weights p / q have none")
        if self.free_bits and max(self.layers) > 1:
            layers = " ".join(map(str, self.layers))
            expected = "expected --layers 1: of deeper ones the divergence is known for no unit"
            raise SettingsError(f"--free-bits {self.free_bits}: --layers {layers}; {expected}")
        if self.categories is not None and self.latent_values != "bits":
            raise SettingsError(
                f"--latent-values {self.latent_values}: expected no --categories, whose units have none"
            )
        if self.free_bits and self.categories is not None:
            raise SettingsError(f"--free-bits {self.free_bits}: expected no --categories, since it is for binary units")
        if self.ablations:
            check_names("ablations", self.ablations, ABLATIONS)
            if not any(name.startswith("hnca") for name in self.estimators):
                raise SettingsError(f"--ablations {' '.join(self.ablations)}: expected hnca among the --estimators")
        check_count("bound_samples", self.bound_samples)
        if self.start_from is not None and self.protocol is None:
            self._refuse_beginnings()

    def refuse_overridden(self, arguments: Sequence[str]) -> None:
        """Raises a SettingsError for an option among the arguments of the command line that the protocol overrides."""
        if self.protocol is not None:
            usual = {field.name: field.default for field in fields(self)} | vars(DataSettings())
            refuse_overridden(arguments, determined_by(vars(self) | vars(self.data)), usual)

    def _refuse_beginnings(self) -> None:
        """Raises a SettingsError for what would only say how fresh parameters begin."""
        for name, usual in (("encoder_scale", 1.0), ("output_bias", "zero")):
            if (value := getattr(self, name)) != usual:
                raise SettingsError(
                    f"--{name.replace('_', '-')} {value}: expected none with --start-from, where none is fresh"
                )

    def _follow(self, protocol: Protocol) -> None:
        """Sets what the protocol says; what is written of a run is then the same as if each had been given."""
        usual = {field.name: field.default for field in fields(self)} | vars(DataSettings())
        said = said_by(protocol, vars(self) | vars(self.data), usual)
        object.__setattr__(self, "data", replace(self.data, training_images=said.pop("training_images")))
        for name, value in said.items():
            object.__setattr__(self, name, value)

    @property
    def all_estimators(self) -> tuple[str, ...]:
        """The names of the estimators to train with, each once, an ablation after what it is taken from."""
        chosen = []
        for name in self.estimators:
            chosen.append(name)
            kind, plus, baseline = name.partition("+")
            if kind == "hnca":
                chosen += [f"{kind}-{ablation}{plus}{baseline}" for ablation in self.ablations]
        return tuple(dict.fromkeys(chosen))

"""The settings of what an auto-encoder's training is made of beside its estimator; by default the paper's."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from hnca.experiments.settings._checks import SettingsError, check_epochs, check_positive


@dataclass(frozen=True)
class RecipeSettings:
    """What keeps an auto-encoder's units in use, or starts it better."""

    encoder_rate: float | None = None
    """The encoder's own learning rate, if not --learning-rate."""
    decoder_rate: float | None = None
    """The own learning rate of the decoder and of the prior, if not --learning-rate."""
    prior: Literal["trained", "fixed"] = "trained"
    """Whether the logits of the deepest layer's prior are learned, or stay at 0."""
    prior_rate: float | None = None
    """The rate of plain steps for the prior's logits, if they are not learned as the decoder is."""
    centred: bool = False
    """Give the encoder the pixels less their means over the training images."""
    latent_values: Literal["bits", "signs"] = "bits"
    """What the layers beside a binary latent one read: bits is 0 and 1, signs is -1 and 1."""
    kl_weight: float | None = None
    """The weight of the divergence in what is learned from; by default 1, or 0 at first with --kl-warm-up."""
    kl_hold: int = 0
    """For how many epochs that weight stays before it becomes 1; by default (0) for ever, if there is no warm-up."""
    kl_warm_up: int = 0
    """Over how many epochs after that, epoch by epoch, it rises to 1."""
    free_bits: float = 0.0
    """Nats of divergence that every unit of the one latent layer has for nothing, on the mean over a batch."""
    encoder_scale: float = 1.0
    """What the weights that give the encoder's logits are multiplied by at first."""
    output_bias: Literal["zero", "data"] = "zero"
    """Where the biases of the decoder's pixels begin: data is at the logits of their means over the training images."""

    def __post_init__(self):
        for name in ("encoder_rate", "decoder_rate", "prior_rate"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        check_positive("encoder_scale", self.encoder_scale)
        for name in ("kl_hold", "kl_warm_up"):
            check_epochs(name, getattr(self, name))
        for name in ("kl_weight", "free_bits"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value >= 0):
                raise SettingsError(f"--{name.replace('_', '-')} {value}: expected a number of at least 0")
        if self.prior_rate is not None and self.prior == "fixed":
            raise SettingsError(f"--prior-rate {self.prior_rate}: expected no --prior fixed, which learns no logits")
        if self.kl_hold and self.kl_weight is None:
            raise SettingsError(f"--kl-hold {self.kl_hold}: expected --kl-weight, the weight that is held")

    @property
    def first_kl_weight(self) -> float:
        """The weight of the divergence in the first epoch."""
        if self.kl_weight is None:
            return 0.0 if self.kl_warm_up else 1.0
        return self.kl_weight

    @property
    def learns_bound(self) -> bool:
        """Whether the bound itself is learned from, at all times."""
        return self.first_kl_weight == 1 and not self.free_bits


def recipe_of_networks(settings: Mapping[str, Any]) -> RecipeSettings:
    """Returns the recipe of networks that are loaded, of which only what their structure is made of is of any use."""
    structural = "centred", "latent_values"
    return RecipeSettings(**{name: settings[name] for name in structural if name in settings})

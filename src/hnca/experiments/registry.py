"""The experiments that there are: one row each. Imports no JAX, and no settings before they are asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hnca.experiments.experiment import Experiment
    from hnca.experiments.settings import TrainingSettings


class Registered(NamedTuple):
    """An experiment by the paths of its two classes.

    Attributes:
        settings: a subclass of `TrainingSettings`.
        experiment: a subclass of `Experiment`.
    """

    settings: str
    experiment: str


EXPERIMENTS = {
    "bandit": Registered("hnca.experiments.settings.bandit.BanditSettings", "hnca.experiments.bandit.Bandit"),
    "vae": Registered("hnca.experiments.settings.vae.VAESettings", "hnca.experiments.vae.VAE"),
    "complete": Registered(
        "hnca.experiments.settings.completion.CompletionSettings", "hnca.experiments.completion.Completion"
    ),
}
"""By the name on the command line."""


def settings_class(name: str) -> "type[TrainingSettings]":
    """Returns the class of an experiment's settings."""
    return _imported(EXPERIMENTS[name].settings)


def experiment_class(name: str) -> "type[Experiment]":
    """Returns the class of an experiment."""
    return _imported(EXPERIMENTS[name].experiment)


def _imported(path: str):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)

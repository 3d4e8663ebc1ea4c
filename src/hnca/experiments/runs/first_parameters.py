"""The parameters that a run begins with, where they are those of another run: `--start-from`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from hnca.experiments.files import shown
from hnca.experiments.runs.plan import Run
from hnca.experiments.settings import SettingsError, TrainingSettings
from hnca.experiments.store import differences
from hnca.experiments.trained.loading import Parameters, parameters_of_seeds
from hnca.experiments.trained.model import untrained, with_parameters
from hnca.experiments.training.minibatches import TrainingState

_OF_THE_NETWORK = (
    *("layers ", "width ", "torso ", "encoder ", "decoder ", "categories "),
    *("centred ", "latent-values "),
)
"""How `differences` begins the lines of those settings that say which parameters there are."""


class FirstParameters(NamedTuple):
    """The last parameters of another run, one network a seed.

    Attributes:
        directory: of that run.
        of_seeds: its parameters, those of seeds 0, 1, ..., as many as are wanted.
        epochs: how many they were trained for, by that run and those it was itself started from.
    """

    directory: Path
    of_seeds: tuple[Parameters, ...]
    epochs: int

    @property
    def described(self) -> dict[str, object]:
        """What a run's configuration says of where it started from, as JSON."""
        digest = hashlib.sha256()
        for parameters in self.of_seeds:
            for name in sorted(parameters.arrays):
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(parameters.arrays[name]).tobytes())
        return {"run": self.directory.name, "epochs": self.epochs, "content": f"sha256:{digest.hexdigest()}"}

    def require_fit(self, run: Run) -> None:
        """Raises a SettingsError unless they are parameters of the networks that the run trains."""
        configuration = self.of_seeds[0].configuration
        wanted = untrained(run.configuration)
        try:
            found = untrained(configuration)
            with_parameters(found, self.of_seeds[0].arrays)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SettingsError(
                f"--start-from {self.directory}: was trained by another version of hnca ({shown(error)})"
            ) from None
        if not eqx.tree_equal(wanted, found):
            raise SettingsError(
                f"--start-from {self.directory}: is of another network ({_different(configuration, run)}); expected "
                f"one of the same sizes and kinds"
            )

    def begun(self, state: TrainingState) -> TrainingState:
        """Returns the state before the first epoch with these parameters; what else is in it stays as it begins."""

        def filled(path: tuple[object, ...], leaf: jax.Array) -> jax.Array:
            name = jax.tree_util.keystr(path)
            return jax.numpy.asarray(np.stack([each.arrays[name] for each in self.of_seeds]), leaf.dtype)

        return state._replace(parameters=jax.tree_util.tree_map_with_path(filled, state.parameters))


def first_parameters(settings: TrainingSettings) -> FirstParameters | None:
    """Returns the parameters that the settings say to start from; None if they are to be drawn.

    Raises:
        SettingsError: if there are none, or of fewer seeds, or the run would be written over.
    """
    directory = settings.start_from
    if directory is None:
        return None
    names = [f"{layers}-{estimator}" for layers in settings.layers for estimator in settings.all_estimators]
    if settings.overwrite and directory.resolve() in [(settings.out / name).resolve() for name in names]:
        raise SettingsError(f"--start-from {directory} --overwrite: would replace what it starts from")
    try:
        # At once, since whoever trains that run may write another checkpoint.
        of_seeds = parameters_of_seeds(directory, range(settings.seeds))
    except ValueError as error:
        raise SettingsError(f"--start-from {error}") from None
    except OSError as error:
        raise SettingsError(f"--start-from {directory}: cannot be read ({error.strerror or error})") from None
    before = of_seeds[0].configuration.get("start", {"epochs": 0})["epochs"]
    return FirstParameters(directory, of_seeds, before + of_seeds[0].epoch)


def _different(configuration: Mapping[str, Any], run: Run) -> str:
    found = differences(configuration, run.configuration)
    if configuration["experiment"] != run.configuration["experiment"]:
        return found[0]
    return "; ".join(line for line in found if line.startswith(_OF_THE_NETWORK)) or "other shapes"

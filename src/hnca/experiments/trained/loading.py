"""Loads a trained network, from a run's directory or from an exported file."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hnca.experiments.files import read_json, require_regular, shown
from hnca.experiments.store import StoredRunError, odd_parts, progress, read_configuration, with_estimator
from hnca.experiments.store.serialisation import arrays_of
from hnca.experiments.trained.model import TrainedModel, untrained, with_parameters
from hnca.network import Network

FORMAT = "hnca-model-3"
_FORMER = "hnca-model-2"
"""In which the estimator was called `method`."""
_PARAMETERS = ".parameters"


class Parameters(NamedTuple):
    """The parameters of one seed, and what they are of.

    Attributes:
        configuration: `experiment`, `layers`, `estimator`, `data`, `settings` of the run.
        epoch: after which they were written.
        seed: whose they are.
        arrays: by the path of the parameter.
    """

    configuration: Mapping[str, Any]
    epoch: int
    seed: int
    arrays: Mapping[str, np.ndarray]


def load(path: str | Path, seed: int = 0) -> TrainedModel:
    """Returns a trained network, ready to sample from.

    Args:
        path: a run's directory (`runs/vae/2-hnca`), of which the last whole checkpoint is taken, or a file that
            `hnca export` wrote.
        seed: which of a run's networks; a file holds one.

    Raises:
        ValueError: if nothing that was trained is there, it is damaged, or the run has no such seed.
        FileNotFoundError: if nothing at all is there.
        OSError: if it cannot be read.
        ImportError: for a file, if the extra `experiments` is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such file or directory; expected a run's directory such as {_EXAMPLE}, or a file"
        )
    found = parameters_of_run(path, seed) if path.is_dir() else _parameters_of_file(path)
    try:
        if found.configuration["layers"] > len(found.arrays):  # nor is a network of as many made for nothing
            raise ValueError(f"{found.configuration['layers']} layers, but {len(found.arrays)} parameters")
        modules = with_parameters(untrained(found.configuration), found.arrays)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: was trained by another version of hnca ({shown(error)})") from None
    network, objective = (modules, None) if isinstance(modules, Network) else modules
    return TrainedModel(network, objective, found.epoch, found.seed)


def parameters_of_run(directory: Path, seed: int) -> Parameters:
    """Returns one seed's parameters; errors as for `parameters_of_seeds`."""
    (found,) = parameters_of_seeds(directory, (seed,))
    return found


def parameters_of_seeds(directory: Path, chosen: Iterable[int]) -> tuple[Parameters, ...]:
    """Returns the parameters of some seeds from the last whole checkpoint of a run, which is read once.

    Raises:
        ValueError: if there is none, or no such seed.
        OSError: if it cannot be read.
    """
    try:
        configuration = read_configuration(directory)
    except StoredRunError as error:
        raise ValueError(str(error)) from None
    if configuration is None:
        raise ValueError(f"{directory}: is no run, as it has no config.json; expected a directory such as {_EXAMPLE}")
    seeds, chosen = configuration["settings"].get("seeds", 0), tuple(chosen)
    missing = [seed for seed in chosen if not 0 <= seed < seeds]
    if missing:
        there = f"0 to {seeds - 1}" if seeds > 1 else "0, its only one"
        raise ValueError(f"{directory}: seed {missing[0]}; expected {there}")
    try:
        _, checkpoint, _, contents = progress(directory, seeds)
    except StoredRunError as error:
        raise ValueError(str(error)) from None
    if checkpoint is None or contents is None:
        raise ValueError(f"{directory}: has no whole checkpoint yet")
    header, content = contents
    try:
        every = arrays_of(content, header.get("arrays"))
    except ValueError as error:
        raise ValueError(f"{checkpoint.path}: {error}") from None
    arrays = {name.removeprefix(_PARAMETERS): every[name] for name in every if name.startswith(_PARAMETERS)}
    if any(array.shape[:1] != (seeds,) for array in arrays.values()):
        raise ValueError(f"{checkpoint.path}: is of another number of seeds than {seeds}")
    return tuple(
        Parameters(configuration, checkpoint.epoch, seed, {name: array[seed] for name, array in arrays.items()})
        for seed in chosen
    )


def _parameters_of_file(path: Path) -> Parameters:
    try:
        from safetensors import SafetensorError, safe_open  # here, since a run's directory is loaded without it
    except ModuleNotFoundError:
        raise ImportError(f"{path}: expected safetensors to read it; pip install 'hnca[experiments]'") from None
    try:
        require_regular(path)
        with safe_open(path, "np") as file:
            description = read_json((file.metadata() or {}).get("hnca", "{}").encode())
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{path}: is damaged, or no file of `hnca export` ({shown(error)})") from None
    found = description.get("format") if isinstance(description, dict) else description
    if found == _FORMER:
        description = with_estimator(description)
    elif found != FORMAT:
        raise ValueError(f"{path}: format {shown(found)}; expected {FORMAT}, as `hnca export` writes it")
    odd = odd_parts(description) + [name for name in ("epoch", "seed") if type(description.get(name)) is not int]
    if odd:
        raise ValueError(
            f"{path}: {shown(', '.join(odd))}: not as `hnca export` writes it, or by another version of hnca"
        )
    return Parameters(description, description["epoch"], description["seed"], arrays)


_EXAMPLE = "runs/vae/2-hnca"

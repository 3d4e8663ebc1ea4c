"""What `hnca export` does: writes the parameters of one seed to a file that any reader of safetensors can open."""

import json
from pathlib import Path

from rich.console import Console
from safetensors.numpy import save

from hnca.experiments.files import require_own, write_atomically
from hnca.experiments.settings import ExportSettings, SettingsError
from hnca.experiments.trained.loading import FORMAT, parameters_of_run

_MARK = b'{"__metadata__":{"hnca":'
"""How a file begins that was written here, after its length."""


def export_run(settings: ExportSettings, console: Console) -> None:
    """Writes the file and says where.

    Raises:
        SettingsError: if there is nothing to export, or the file cannot be written.
    """
    path = settings.run / f"model-{settings.seed}.safetensors" if settings.out is None else settings.out
    try:
        if not settings.overwrite:
            require_own(path, _MARK)
        epoch = export(settings.run, settings.seed, path)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(f"{error.filename or path}: {error.strerror or error}") from None
    console.print(f"{path}: seed {settings.seed} after epoch {epoch}", soft_wrap=True, highlight=False)


def export(run: Path, seed: int, path: Path) -> int:
    """Writes the last whole checkpoint's parameters and returns after how many epochs that was.

    The file holds an array for every parameter, by its path in the network (`.layers['hidden1'].conditional.bias`), and
    under `hnca` in its metadata the JSON of what is needed to build the network: format, experiment, layers, estimator,
    data, settings, epoch and seed.

    Args:
        run: its directory.
        seed: whose parameters.
        path: of the file; its directory is made.

    Raises:
        ValueError: if there is no such run, seed, or checkpoint.
        OSError: if the file cannot be written.
    """
    found = parameters_of_run(run, seed)
    described = {name: found.configuration[name] for name in ("experiment", "layers", "estimator", "data", "settings")}
    description = {"format": FORMAT, **described, "epoch": found.epoch, "seed": seed}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, [save(dict(found.arrays), {"hnca": json.dumps(description)})])
    return found.epoch

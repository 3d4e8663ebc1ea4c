"""Writes the parameters of one seed to a file of its own, which any reader of safetensors can open."""

import json
from pathlib import Path

from safetensors.numpy import save

from hnca.experiments.store import write_atomically
from hnca.experiments.trained.loading import FORMAT, parameters_of_run


def export(run: Path, seed: int, path: Path) -> int:
    """Writes the last whole checkpoint's parameters and returns after how many epochs that was.

    The file holds an array for every parameter, by its path in the network (`.layers['hidden1'].conditional.bias`), and
    under `hnca` in its metadata the JSON of what is needed to build the network: format, experiment, layers, method,
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
    described = {name: found.configuration[name] for name in ("experiment", "layers", "method", "data", "settings")}
    description = {"format": FORMAT, **described, "epoch": found.epoch, "seed": seed}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, [save(dict(found.arrays), {"hnca": json.dumps(description)})])
    return found.epoch

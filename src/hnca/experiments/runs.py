"""Runs an experiment from its settings to its metrics, its table and its figures."""

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from rich.console import Console

from hnca.experiments.bandit import Bandit
from hnca.experiments.devices import Placement, is_writer
from hnca.experiments.display import display
from hnca.experiments.epochs import Epoch, train
from hnca.experiments.estimators import estimator
from hnca.experiments.experiment import Experiment
from hnca.experiments.images import Images, mnist_on_device
from hnca.experiments.information import device_line
from hnca.experiments.processes import join
from hnca.experiments.records import MetricsFile, Row
from hnca.experiments.settings import BanditSettings, SettingsError, VAESettings
from hnca.experiments.tables import final_table
from hnca.experiments.vae import VAE

Settings = BanditSettings | VAESettings


def run(settings: Settings, console: Console) -> None:
    """Trains every depth with every estimator, writes each epoch as it ends, and draws the figures.

    Of several processes the first writes and prints, and the others take part in the training only.

    Raises:
        SettingsError: if the output directory cannot be used, the devices or processes are not there, or training
            leaves the finite numbers.
    """
    join(settings.sharing)
    placement = Placement(settings.sharing.devices, settings.seeds, settings.batch_size)
    experiment = experiment_of(settings)
    if not is_writer():
        _take_part(experiment, settings, placement)
        return
    with MetricsFile(settings.out, settings.overwrite) as metrics:
        images = placement.broadcast(mnist_on_device())
        console.print(f"{device_line()}; {placement}; writing {metrics.path}", soft_wrap=True)
        for layers, method in _trainings(settings):
            epoch = _run_one(experiment, settings, layers, method, images, placement, metrics, console)
            trained = _first_seed(epoch, placement)
            experiment.draw_pictures(trained, images[1], f"{layers}-{method}", settings.out)
    console.print(final_table(metrics.rows, experiment.headings, experiment.digits))
    figures = experiment.draw_figures(metrics.rows, settings.out)
    console.print(f"figures: {', '.join(map(str, figures))}", soft_wrap=True)


def experiment_of(settings: Settings) -> Experiment:
    """Returns the experiment that the settings are for."""
    if isinstance(settings, VAESettings):
        return VAE(settings.width, settings.bound_samples, settings.encoder, settings.decoder)
    return Bandit(settings.width, settings.torso)


def _trainings(settings: Settings) -> Iterator[tuple[int, str]]:
    """Yields every depth and estimator, in the order in which all processes train them."""
    yield from itertools.product(settings.layers, settings.methods)


def _take_part(experiment: Experiment, settings: Settings, placement: Placement) -> None:
    """Does this process's part of what the first one writes."""
    train_images, test_images = placement.broadcast(mnist_on_device())
    for layers, method in _trainings(settings):
        epochs = train(experiment, settings, layers, estimator(method), train_images, test_images, placement)
        (last,) = deque(epochs, maxlen=1)
        _first_seed(last, placement)


def _first_seed(epoch: Epoch, placement: Placement) -> PyTree:
    """Returns what the first seed trained; all processes have to ask for it."""
    arrays, static = eqx.partition(epoch.trained, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[0]), placement.collect(arrays)), static)


def _run_one(
    experiment: Experiment,
    settings: Settings,
    layers: int,
    method: str,
    images: tuple[Images, Images],
    placement: Placement,
    metrics: MetricsFile,
    console: Console,
) -> Epoch:
    """Trains with one estimator at one depth and returns the last epoch."""
    train_images, test_images = images
    updates = len(train_images.labels) // settings.batch_size * settings.seeds
    epochs = train(experiment, settings, layers, estimator(method), train_images, test_images, placement)
    label = f"{method}, {layers} {experiment.units}"
    with display(console, label, settings.epochs, experiment.headings, experiment.digits) as shown:
        started = time.perf_counter()
        for number, epoch in enumerate(epochs, start=1):
            seconds = time.perf_counter() - started
            common = {"layers": layers, "epoch": number, "seconds": round(seconds, 3)}
            rows = _rows(experiment, epoch, common, method)
            for row in rows:
                metrics.write(row)
            shown.epoch(_mean(rows, experiment), updates / seconds, seconds * (settings.epochs - number))
            _require_finite(rows, settings, experiment)
            started = time.perf_counter()
    return epoch


def _rows(experiment: Experiment, epoch: Epoch, common: Row, method: str) -> list[Row]:
    with np.errstate(divide="ignore", invalid="ignore"):
        log_variance = np.log(np.asarray(epoch.measures["gradient_variance"]))
    fields = (*experiment.train_fields, *experiment.test_fields)
    measures = {field: np.asarray(epoch.measures[field]) for field in fields if field in epoch.measures}
    return [
        {
            "experiment": experiment.name,
            **experiment.identity(method),
            "layers": common["layers"],
            "seed": seed,
            "epoch": common["epoch"],
            **{field: float(measures[field][seed]) if field in measures else None for field in fields},
            "log_gradient_variance": float(log_variance[seed]),
            "seconds": common["seconds"],
        }
        for seed in range(len(log_variance))
    ]


def _mean(rows: Sequence[Row], experiment: Experiment) -> Row:
    """Returns the epoch and the mean over seeds of what was measured in it on training and test images."""
    fields = [f for f in (*experiment.train_fields, *experiment.test_fields) if rows[0][f] is not None]
    return {"epoch": rows[0]["epoch"], **{field: float(np.mean([row[field] for row in rows])) for field in fields}}


def _require_finite(rows: Sequence[Row], settings: Settings, experiment: Experiment) -> None:
    for row in rows:
        if np.isnan(row["log_gradient_variance"]) or np.isposinf(row["log_gradient_variance"]):
            raise SettingsError(
                f"--learning-rate {settings.learning_rate}: the gradient of {row['estimator']} with {row['layers']} "
                f"{experiment.units} layers is not finite in epoch {row['epoch']}; expected a smaller rate"
            )

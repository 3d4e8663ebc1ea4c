"""Runs an experiment from its settings to its metrics, its table and its figure."""

import time
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from hnca.data.mnist import load_mnist
from hnca.experiments import bandit
from hnca.experiments.display import display
from hnca.experiments.figures import draw_figure_1
from hnca.experiments.records import MetricsFile, Row
from hnca.experiments.settings import BanditSettings, SettingsError
from hnca.experiments.tables import bandit_table


def run_bandit(settings: BanditSettings, console: Console) -> None:
    """Trains every depth with every estimator, writes each epoch as it ends, and draws Figure 1.

    Raises:
        SettingsError: if the output directory cannot be used, or training leaves the finite numbers.
    """
    with MetricsFile(settings.out, settings.overwrite) as metrics:
        train_images, test_images = mnist_on_device()
        console.print(f"{_device()}; writing {metrics.path}", soft_wrap=True)
        for layers in settings.layers:
            for name, baseline in settings.methods:
                _run_agent(settings, layers, name, baseline, train_images, test_images, metrics, console)
    console.print(bandit_table(metrics.rows))
    figures = draw_figure_1(metrics.rows, settings.out)
    console.print(f"figure: {', '.join(map(str, figures))}", soft_wrap=True)


def mnist_on_device() -> tuple[bandit.Images, bandit.Images]:
    """Returns the training and the test images as arrays on the default device, pixels flat."""
    data = load_mnist()
    pairs = (data.train_images, data.train_labels), (data.test_images, data.test_labels)
    first, second = (
        bandit.Images(jnp.asarray(pixels.reshape(len(pixels), -1)), jnp.asarray(labels, jnp.int32))
        for pixels, labels in pairs
    )
    return first, second


def _run_agent(
    settings: BanditSettings,
    layers: int,
    name: str,
    baseline: bool,
    train_images: bandit.Images,
    test_images: bandit.Images,
    metrics: MetricsFile,
    console: Console,
) -> None:
    method = bandit.estimator(name, baseline)
    label = f"{name}{'+baseline' if baseline else ''}, {layers} hidden"
    updates = len(train_images.labels) // settings.batch_size * settings.seeds
    with display(console, label, settings.epochs) as shown:
        started = time.perf_counter()
        for epoch, measured in enumerate(bandit.train(settings, layers, method, train_images, test_images), start=1):
            seconds = time.perf_counter() - started
            rows = _rows(measured, {"layers": layers, "epoch": epoch, "seconds": round(seconds, 3)}, name, baseline)
            for row in rows:
                metrics.write(row)
            shown.epoch(_mean(rows), updates / seconds, seconds * (settings.epochs - epoch))
            _require_finite(rows, settings)
            started = time.perf_counter()


def _rows(measured: bandit.EpochMetrics, common: Row, name: str, baseline: bool) -> list[Row]:
    with np.errstate(divide="ignore", invalid="ignore"):
        log_variance = np.log(np.asarray(measured.gradient_variance))
    return [
        {
            "experiment": "bandit",
            "estimator": name,
            "baseline": "running mean" if baseline else "none",
            "layers": common["layers"],
            "seed": seed,
            "epoch": common["epoch"],
            "train_accuracy": float(measured.train_accuracy[seed]),
            "test_accuracy": float(measured.test_accuracy[seed]),
            "log_gradient_variance": float(log_variance[seed]),
            "seconds": common["seconds"],
        }
        for seed in range(len(log_variance))
    ]


def _mean(rows: Sequence[Row]) -> Row:
    fields = ("train_accuracy", "test_accuracy")
    return {"epoch": rows[0]["epoch"], **{field: float(np.mean([row[field] for row in rows])) for field in fields}}


def _require_finite(rows: Sequence[Row], settings: BanditSettings) -> None:
    for row in rows:
        if np.isnan(row["log_gradient_variance"]) or np.isposinf(row["log_gradient_variance"]):
            raise SettingsError(
                f"--learning-rate {settings.learning_rate}: the gradient of {row['estimator']} with {row['layers']} "
                f"hidden layers is not finite in epoch {row['epoch']}; expected a smaller rate"
            )


def _device() -> str:
    device = jax.devices()[0]
    return f"JAX {jax.__version__} on {device.device_kind} ({device.platform})"

"""What `hnca compare` does: for every depth and epoch all estimators at the same parameters, a table, rows, a chart."""

import json
from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Key, PyTree
from rich.console import Console

from hnca.experiments.comparison.chart import draw_chart
from hnca.experiments.comparison.moments import Drawn, adapted, draw_of, moments
from hnca.experiments.comparison.rows import Compared, Subject, compared
from hnca.experiments.comparison.subjects import subjects
from hnca.experiments.comparison.table import markdown_tables, terminal_table
from hnca.experiments.data.images import Images, binarise, on_device
from hnca.experiments.experiment import Experiment
from hnca.experiments.files import write_atomically
from hnca.experiments.runs.environment import device_line
from hnca.experiments.settings import CompareSettings, SettingsError
from hnca.experiments.timing.updates import Shape, time_updates
from hnca.experiments.training.devices import require_devices

_UPDATES = 20
"""In one timed call."""


def compare(settings: CompareSettings, console: Console) -> None:
    """Measures, prints a table for every depth and epoch, and writes the rows after each.

    Raises:
        SettingsError: if the directory cannot be written, or a run not be loaded.
    """
    require_devices()
    images, _ = on_device(settings.data.load())
    _write(settings, [])
    console.print(f"{device_line()}; one batch of {settings.batch_size} images, {settings.draws} draws")
    rows: list[Compared] = []
    for experiment, shape, networks in subjects(settings, images):
        times = _times(experiment, shape, settings, images)
        for epoch, trained in networks:
            new = _rows(experiment, shape.layers, epoch, trained, settings, images, times)
            rows += sorted(new, key=lambda row: row.variance_times_milliseconds)
            console.print(terminal_table(rows[-len(new) :]))
            _write(settings, rows)
    written = settings.out / "comparison.json", settings.out / "comparison.md", draw_chart(rows, settings.out)
    console.print(", ".join(map(str, written)), soft_wrap=True)


def _rows(
    experiment: Experiment,
    layers: int,
    epoch: int,
    trained: PyTree,
    settings: CompareSettings,
    images: Images,
    times: dict[str, float],
) -> list[Compared]:
    batch_key, reference_key, key = jax.random.split(jax.random.key(1), 3)
    pixels = binarise(batch_key, images.pixels[: settings.batch_size])
    batch = Images(pixels, images.labels[: settings.batch_size])
    reference = _reference(experiment, trained, batch, reference_key, settings)
    rows = []
    for name, own_key in zip(settings.names, jax.random.split(key, len(settings.names)), strict=True):
        estimator = experiment.estimator(name)
        draw = draw_of(experiment, estimator, trained, batch)
        adapt_key, draw_key = jax.random.split(own_key)
        state = adapted(draw, experiment.estimator_state(trained, estimator), adapt_key, settings.adaptation)
        drawn = moments(draw, state, draw_key, settings.draws)
        cost = estimator.cost(eqx.filter_eval_shape(draw, state, draw_key).network)
        cost = cost._replace(evaluations=cost.evaluations + experiment.reevaluations(trained, estimator))
        subject = Subject(settings.experiment, layers, epoch, name)
        rows.append(compared(subject, drawn, reference, cost, times[name]))
    return rows


def _reference(
    experiment: Experiment, trained: PyTree, batch: Images, key: Key[Array, ""], settings: CompareSettings
) -> Drawn:
    """Draws of an unbiased estimator of low variance."""
    estimator = experiment.estimator(experiment.reference)
    draw = draw_of(experiment, estimator, trained, batch)
    adapt_key, draw_key = jax.random.split(key)
    state = adapted(draw, experiment.estimator_state(trained, estimator), adapt_key, settings.adaptation)
    return moments(draw, state, draw_key, settings.reference_draws)


def _times(experiment: Experiment, shape: Shape, settings: CompareSettings, images: Images) -> dict[str, float]:
    """Milliseconds an update, without measuring the variance."""
    timed = time_updates(experiment, shape, settings.names, images, _UPDATES, settings.repeats, measured=(False,))
    return {row.estimator: row.milliseconds_per_update for row in timed}


def _write(settings: CompareSettings, rows: Sequence[Compared]) -> None:
    try:
        settings.out.mkdir(parents=True, exist_ok=True)
        content = "[\n" + ",\n".join(json.dumps(row._asdict()) for row in rows) + "\n]\n"
        write_atomically(settings.out / "comparison.json", [content.encode()])
        write_atomically(settings.out / "comparison.md", [markdown_tables(rows).encode()])
    except OSError as error:
        raise SettingsError(f"--out {settings.out}: cannot be written ({error.strerror or error})") from None

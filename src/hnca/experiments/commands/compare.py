"""What `hnca compare` does: for every depth and epoch all estimators at the same parameters, a table, rows, a chart."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Key, PyTree
from rich.console import Console
from rich.status import Status

from hnca.estimators import Cost
from hnca.experiments.comparison.averaging import averaged_tables
from hnca.experiments.comparison.chart import draw_chart
from hnca.experiments.comparison.moments import Measurer, draw_of, measurer
from hnca.experiments.comparison.networks import networks_of
from hnca.experiments.comparison.rows import Compared, Subject, compared
from hnca.experiments.comparison.table import depth_of, markdown_tables, terminal_table
from hnca.experiments.data.images import Images, binarise, on_device
from hnca.experiments.experiment import Experiment
from hnca.experiments.files import write_atomically
from hnca.experiments.runs.environment import device_line
from hnca.experiments.runs.failures import refused
from hnca.experiments.settings import CompareSettings, SettingsError
from hnca.experiments.timing.updates import Shape, time_updates
from hnca.experiments.training.devices import require_devices

_WRITTEN = "comparison.json", "comparison.md", "comparison.png"
"""The chart last, which is drawn once all is measured."""
_UPDATES = 20
"""In one timed call."""


class _Instruments(NamedTuple):
    """What estimators are measured with, for networks of one depth.

    Attributes:
        reference: measures the estimator whose mean stands for the true gradient.
        measurers: by the estimators' names.
        milliseconds: that an update takes, likewise.
    """

    reference: Measurer
    measurers: dict[str, Measurer]
    milliseconds: dict[str, float]


def compare(settings: CompareSettings, console: Console) -> None:
    """Measures, prints a table for every depth and epoch, and writes the rows after every network and batch.

    Raises:
        SettingsError: if the directory cannot be written or has a comparison, there are fewer images than the batches
            take, or a run cannot be loaded.
    """
    require_devices()
    images, _ = on_device(settings.data.load())
    _check(settings, len(images.labels))
    depths = list(networks_of(settings, images))
    _require_writable(settings.out)
    batches = "one batch" if settings.batches == 1 else f"{settings.batches} batches"
    console.print(f"{device_line()}; {batches} of {settings.batch_size} images, {settings.draws} draws")
    rows: list[Compared] = []
    for networks in depths:
        layers, depth = networks.shape.layers, depth_of(networks.shape.layers)
        with console.status("") as status:
            _tell(console, status, f"{depth}: timing updates")
            instruments = _instruments(networks.experiment, networks.shape, settings, images)
            for epoch, modules in networks.trained:
                costs = _costs(networks.experiment, modules[0], settings, images)
                for seed, trained in enumerate(modules):
                    for number in range(settings.batches):
                        _tell(console, status, f"{depth}, epoch {epoch}, seed {seed}, batch {number}: measuring")
                        subject = Subject(settings.experiment, layers, epoch, "", seed, number)
                        rows += _rows(subject, trained, settings, images, instruments, costs)
                        _write(settings, rows)
                console.print(terminal_table(averaged_tables(rows)[-1]))
    written = (
        settings.out / "comparison.json",
        settings.out / "comparison.md",
        draw_chart(averaged_tables(rows), settings.out),
    )
    console.print(", ".join(map(str, written)), soft_wrap=True)


def _tell(console: Console, status: Status, doing: str) -> None:
    """Shows what takes so long: in its place on a terminal, as a line elsewhere, where a status is not seen."""
    status.update(doing)
    if not console.is_terminal:
        console.print(doing)


def _check(settings: CompareSettings, images: int) -> None:
    if settings.batches * settings.batch_size > images:
        raise SettingsError(
            f"--batches {settings.batches}: of {settings.batch_size} images each; expected no more than the {images} "
            "there are"
        )
    # What has no row yet is nothing to lose.
    empty = len(_content([]))
    there = [path for name in _WRITTEN if (path := settings.out / name).exists() and path.stat().st_size > empty]
    if there and not settings.overwrite:
        raise SettingsError(
            f"--out {settings.out}: has a comparison, {there[0].name}; expected another directory, or --overwrite"
        )


def _instruments(experiment: Experiment, shape: Shape, settings: CompareSettings, images: Images) -> _Instruments:
    timed = time_updates(experiment, shape, settings.names, images, _UPDATES, settings.repeats, measured=(False,))
    reference = experiment.estimator(experiment.reference)
    return _Instruments(
        measurer(experiment, reference, settings.adaptation, settings.reference_draws),
        {n: measurer(experiment, experiment.estimator(n), settings.adaptation, settings.draws) for n in settings.names},
        {row.estimator: row.milliseconds_per_update for row in timed},
    )


def _costs(experiment: Experiment, trained: PyTree, settings: CompareSettings, images: Images) -> dict[str, Cost]:
    costs = {}
    for name in settings.names:
        estimator, key = experiment.estimator(name), jax.random.key(0)
        draw = draw_of(experiment, estimator, trained, _batch(settings, images, 0, key))
        network = eqx.filter_eval_shape(draw, experiment.estimator_state(trained, estimator), key).network
        cost = estimator.cost(network)
        costs[name] = cost._replace(evaluations=cost.evaluations + experiment.reevaluations(trained, estimator))
    return costs


def _rows(
    subject: Subject,
    trained: PyTree,
    settings: CompareSettings,
    images: Images,
    instruments: _Instruments,
    costs: dict[str, Cost],
) -> list[Compared]:
    """Measures all estimators on one network and one batch."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(1), subject.seed), subject.batch)
    batch_key, reference_key, key = jax.random.split(key, 3)
    batch = _batch(settings, images, subject.batch, batch_key)
    reference = instruments.reference(trained, batch, reference_key)
    rows = []
    for name, own_key in zip(settings.names, jax.random.split(key, len(settings.names)), strict=True):
        drawn = instruments.measurers[name](trained, batch, own_key)
        of_name = subject._replace(estimator=name)
        rows.append(compared(of_name, drawn, reference, costs[name], instruments.milliseconds[name]))
    return rows


def _batch(settings: CompareSettings, images: Images, number: int, key: Key[Array, ""]) -> Images:
    chosen = slice(number * settings.batch_size, (number + 1) * settings.batch_size)
    return Images(binarise(key, images.pixels[chosen]), images.labels[chosen])


def _require_writable(out: Path) -> None:
    """Raises a SettingsError, before anything is measured, if nothing can be written; what is there stays."""
    with refused(out):
        out.mkdir(parents=True, exist_ok=True)
        for name, nothing in zip(_WRITTEN, (_content([]), b""), strict=False):
            write_atomically(out / name, [(out / name).read_bytes() if (out / name).exists() else nothing])


def _write(settings: CompareSettings, rows: Sequence[Compared]) -> None:
    with refused(settings.out):
        settings.out.mkdir(parents=True, exist_ok=True)
        for name, content in zip(
            _WRITTEN, (_content(rows), markdown_tables(averaged_tables(rows)).encode()), strict=False
        ):
            write_atomically(settings.out / name, [content])


def _content(rows: Sequence[Compared]) -> bytes:
    return ("[\n" + ",\n".join(json.dumps(row._asdict()) for row in rows) + "\n]\n").encode()

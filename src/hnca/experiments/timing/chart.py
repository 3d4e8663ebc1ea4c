"""The benchmark's figure: the time of an update against the depth."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hnca.experiments.figures.saving import save_figure
from hnca.experiments.store import distinct
from hnca.experiments.timing.updates import UpdateTime


def draw_depths(rows: Sequence[UpdateTime], path: Path) -> None:
    """Draws milliseconds an update against the number of layers, a panel an experiment, a curve an estimator.

    Args:
        rows: of the benchmark; those that measure the variance, or have another width, batch size or number of seeds
            than the first, are left out.
        path: where the figure goes; its ending says in which format.
    """
    first = rows[0]
    chosen = [row for row in rows if not row.measure_variance and _fixed(row) == _fixed(first)]
    experiments = distinct(chosen, "experiment")
    figure = Figure(figsize=(1 + 4 * len(experiments), 3.8))
    axes = figure.subplots(1, len(experiments), squeeze=False)
    for axis, experiment in zip(axes[0], experiments, strict=True):
        _panel(axis, [row for row in chosen if row.experiment == experiment])
        axis.set_title(f"{experiment}, width {first.width}, batch {first.batch_size}", fontsize=10)
    axes[0, 0].set_ylabel("milliseconds an update")
    figure.tight_layout()
    save_figure(figure, path)


def _fixed(row: UpdateTime) -> tuple[int, ...]:
    return row.width, row.batch_size, row.seeds


def _panel(axis: Axes, rows: Sequence[UpdateTime]) -> None:
    for name in distinct(rows, "estimator"):
        of_name = sorted((row.layers, row.milliseconds_per_update) for row in rows if row.estimator == name)
        axis.plot(*zip(*of_name, strict=True), marker=".", label=name)
    axis.set_xlabel("stochastic layers")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)

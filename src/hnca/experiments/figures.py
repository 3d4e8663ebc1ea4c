"""The paper's figures, drawn from the rows of metrics files."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hnca.experiments.intervals import confidence_interval
from hnca.experiments.records import Row, distinct, method_label

_COLOURS = {
    "HNCA": "#0072b2",
    "HNCA with baseline": "#56b4e9",
    "REINFORCE": "#d55e00",
    "REINFORCE with baseline": "#e69f00",
}


def draw_figure_1(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Draws Young 2022, Figure 1: accuracy above, ln gradient variance below, one column a depth.

    Args:
        rows: the bandit's metrics.
        directory: where `figure1.png` and `figure1.pdf` go.

    Returns:
        The paths written.
    """
    depths = distinct(rows, "layers")
    size = (1.4 + 3.6 * len(depths), 6.4)
    figure, axes = pyplot.subplots(2, len(depths), figsize=size, sharex=True, sharey="row", squeeze=False)
    for column, depth in enumerate(depths):
        of_depth = [row for row in rows if row["layers"] == depth]
        accuracy, variance = axes[0, column], axes[1, column]
        _curves(accuracy, of_depth, "train_accuracy", "-")
        _curves(accuracy, of_depth, "test_accuracy", ":")
        _curves(variance, of_depth, "log_gradient_variance", "-")
        accuracy.set_title(f"{depth} hidden layer{'s' if depth > 1 else ''}", fontsize=11)
        variance.set_xlabel("epoch")
        variance.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel("accuracy")
    axes[1, 0].set_ylabel("ln variance of the gradient")
    _annotate(figure, rows)
    paths = [directory / f"figure1.{ending}" for ending in ("png", "pdf")]
    for path in paths:
        figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return paths


def _annotate(figure: Figure, rows: Sequence[Row]) -> None:
    """Puts the legend above the panels and what the bands are below them."""
    methods = dict.fromkeys(map(method_label, rows))
    lines = [Line2D([], [], color=_COLOURS[label], label=label) for label in methods]
    styles = [
        Line2D([], [], color="0.4", linestyle="-", label="training"),
        Line2D([], [], color="0.4", linestyle=":", label="test"),
    ]
    figure.legend(handles=[*lines, *styles], loc="upper center", ncols=len(lines) + 2, frameon=False, fontsize=9)
    seeds = len(distinct(rows, "seed"))
    note = "one seed" if seeds == 1 else f"{seeds} seeds, bands: 95% confidence interval of the training mean"
    figure.text(0.99, 0.008, f"MNIST bandit; {note}", ha="right", va="bottom", size=8, color="0.4")
    figure.tight_layout(rect=(0, 0.025, 1, 0.95))


def _curves(axis: Axes, rows: Sequence[Row], field: str, style: str) -> None:
    """Draws a field against the epoch, one curve for every estimator, with its band where the line is solid."""
    for label in dict.fromkeys(map(method_label, rows)):
        chosen = [row for row in rows if method_label(row) == label]
        epochs = distinct(chosen, "epoch")
        values = [[row[field] for row in chosen if row["epoch"] == epoch] for epoch in epochs]
        intervals = [confidence_interval(of_epoch) for of_epoch in values]
        mean = np.array([interval.mean for interval in intervals])
        half_width = np.array([interval.half_width for interval in intervals])
        marker = "." if len(epochs) == 1 else None
        axis.plot(epochs, mean, style, color=_COLOURS[label], linewidth=1.5, marker=marker)
        if style == "-" and not np.isnan(half_width).any():
            axis.fill_between(epochs, mean - half_width, mean + half_width, color=_COLOURS[label], alpha=0.2, lw=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

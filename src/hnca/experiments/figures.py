"""The paper's figures, drawn from the rows of metrics files."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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
    "LOO": "#009e73",
    "LOO, independent": "#7fcfb9",
    "DisARM": "#cc79a7",
    "ARM": "#8c564b",
    "REBAR": "#9467bd",
    "RELAX": "#bcbd22",
    "HNCA, all children": "#000000",
    "HNCA, all children with baseline": "#777777",
    "HNCA, full reward": "#b2182b",
    "HNCA, full reward with baseline": "#f4a582",
}


class _Panels(NamedTuple):
    """What one figure shows, one column a depth: performance above, variance below.

    Attributes:
        stem: the files' name without its ending.
        train_field: drawn solid, with bands.
        test_field: drawn dotted, at the epochs where it was measured.
        performance: the label of the upper axes.
        units: what the layers are called.
        note: what the figure is of.
    """

    stem: str
    train_field: str
    test_field: str
    performance: str
    units: str
    note: str


def draw_figure_1(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Draws Young 2022, Figure 1: accuracy above, ln gradient variance below, one column a depth.

    Args:
        rows: the bandit's metrics.
        directory: where `figure1.png` and `figure1.pdf` go.

    Returns:
        The paths written.
    """
    return _draw(
        rows, directory, _Panels("figure1", "train_accuracy", "test_accuracy", "accuracy", "hidden", "MNIST bandit")
    )


def draw_figure_5(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Draws Young 2022, Figure 5: as Figure 1, for agents with a convolutional torso.

    Args:
        rows: the bandit's metrics.
        directory: where `figure5.png` and `figure5.pdf` go.

    Returns:
        The paths written.
    """
    note = "MNIST bandit, convolutional torso"
    return _draw(rows, directory, _Panels("figure5", "train_accuracy", "test_accuracy", "accuracy", "hidden", note))


def draw_figure_3(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Draws Young 2022, Figure 3: the ELBO above, ln gradient variance below, one column a depth.

    Args:
        rows: the auto-encoder's metrics; those of ablations are left out.
        directory: where `figure3.png` and `figure3.pdf` go.

    Returns:
        The paths written.
    """
    chosen = [row for row in rows if not _is_ablation(row)]
    return _draw(chosen, directory, _Panels("figure3", "train_elbo", "test_elbo", "ELBO (nats)", "latent", "MNIST VAE"))


def draw_figure_6(rows: Sequence[Row], directory: Path) -> list[Path]:
    """Draws Young 2022, Figure 6: HNCA and what is left of it without one of its prunings, laid out like Figure 3.

    Args:
        rows: the auto-encoder's metrics.
        directory: where `figure6.png` and `figure6.pdf` go.

    Returns:
        The paths written: none, if no ablation is among the rows.
    """
    if not any(map(_is_ablation, rows)):
        return []
    chosen = [row for row in rows if row["estimator"].startswith("hnca")]
    panels = _Panels("figure6", "train_elbo", "test_elbo", "ELBO (nats)", "latent", "MNIST VAE, ablations of HNCA")
    return _draw(chosen, directory, panels)


def _is_ablation(row: Row) -> bool:
    return row["estimator"].startswith("hnca-")


def _draw(rows: Sequence[Row], directory: Path, panels: _Panels) -> list[Path]:
    depths = distinct(rows, "layers")
    size = (1.4 + 3.6 * len(depths), 6.4)
    figure, axes = pyplot.subplots(2, len(depths), figsize=size, sharex=True, sharey="row", squeeze=False)
    for column, depth in enumerate(depths):
        of_depth = [row for row in rows if row["layers"] == depth]
        performance, variance = axes[0, column], axes[1, column]
        _curves(performance, of_depth, panels.train_field, "-")
        _curves(performance, of_depth, panels.test_field, ":")
        _curves(variance, of_depth, "log_gradient_variance", "-")
        performance.set_title(f"{depth} {panels.units} layer{'s' if depth > 1 else ''}", fontsize=11)
        variance.set_xlabel("epoch")
        variance.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0, 0].set_ylabel(panels.performance)
    axes[1, 0].set_ylabel("ln variance of the gradient")
    _annotate(figure, rows, panels.note)
    paths = [directory / f"{panels.stem}.{ending}" for ending in ("png", "pdf")]
    for path in paths:
        figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return paths


def _annotate(figure: Figure, rows: Sequence[Row], note: str) -> None:
    """Puts the legend above the panels and what the bands are below them."""
    methods = dict.fromkeys(map(method_label, rows))
    lines = [Line2D([], [], color=_COLOURS[label], label=label) for label in methods]
    styles = [
        Line2D([], [], color="0.4", linestyle="-", label="training"),
        Line2D([], [], color="0.4", linestyle=":", marker=".", label="test"),
    ]
    handles = [*lines, *styles]
    columns = max(2, min(len(handles), int(figure.get_figwidth() // 1.9)))
    legend_rows = -(-len(handles) // columns)
    figure.legend(handles=handles, loc="upper center", ncols=columns, frameon=False, fontsize=9)
    seeds = len(distinct(rows, "seed"))
    bands = "one seed" if seeds == 1 else f"{seeds} seeds, bands: 95% confidence interval of the training mean"
    figure.text(0.99, 0.008, f"{note}; {bands}", ha="right", va="bottom", size=8, color="0.4")
    figure.tight_layout(rect=(0, 0.025, 1, 0.98 - 0.033 * legend_rows))


def _curves(axis: Axes, rows: Sequence[Row], field: str, style: str) -> None:
    """Draws a field against the epochs where it was measured, one curve for every estimator, solid ones with a band."""
    for label in dict.fromkeys(map(method_label, rows)):
        chosen = [row for row in rows if method_label(row) == label and row[field] is not None]
        epochs = distinct(chosen, "epoch")
        values = [[row[field] for row in chosen if row["epoch"] == epoch] for epoch in epochs]
        intervals = [confidence_interval(of_epoch) for of_epoch in values]
        mean = np.array([interval.mean for interval in intervals])
        half_width = np.array([interval.half_width for interval in intervals])
        marker = "." if len(epochs) == 1 or style == ":" else None
        axis.plot(epochs, mean, style, color=_COLOURS[label], linewidth=1.5, marker=marker, markersize=3)
        if style == "-" and not np.isnan(half_width).any():
            axis.fill_between(epochs, mean - half_width, mean + half_width, color=_COLOURS[label], alpha=0.2, lw=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

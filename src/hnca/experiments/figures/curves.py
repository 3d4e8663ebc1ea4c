"""The paper's figures, drawn from the rows of metrics files."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from hnca.experiments.experiment import Panels
from hnca.experiments.figures.intervals import confidence_interval
from hnca.experiments.figures.saving import legible, save_figure
from hnca.experiments.methods import colour, label
from hnca.experiments.store import Row, distinct

_LETTERS_AN_INCH = 16
"""Of a caption, so that it is not wider than the figure."""
_LETTERS_AN_INCH_OF_LEGEND = 14.5


def draw_figure(
    number: int, panels: Panels, units: str, rows: Sequence[Row], directory: Path, remark: str = ""
) -> list[Path]:
    """Draws a figure of an experiment and returns the paths written: `figure<number>.png` and `.pdf`.

    Args:
        number: its own.
        panels: what it shows.
        units: what the layers are called.
        rows: the metrics of its experiment.
        directory: where the files go.
        remark: what the caption says besides.
    """
    figure = paper_figure(panels, units, rows, remark)
    return [save_figure(figure, directory / f"figure{number}.{ending}") for ending in ("png", "pdf")]


def paper_figure(panels: Panels, units: str, rows: Sequence[Row], remark: str = "") -> Figure:
    """Returns a figure, one column a depth: performance above, ln gradient variance below.

    Args:
        panels: what it shows.
        units: what the layers are called.
        rows: the metrics of its experiment; those it does not show are left out.
        remark: what the caption says besides.
    """
    chosen = [row for row in rows if panels.shows(row)]
    columns = distinct(chosen, "layers")
    figure = Figure(figsize=(max(5.8, 1.4 + 3.6 * len(columns)), 6.4))
    axes = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
    for column, layers in enumerate(columns):
        alike = [row for row in chosen if row.layers == layers]
        performance, variance = axes[0, column], axes[1, column]
        _curves(performance, alike, panels.train_field, "-")
        _curves(performance, alike, panels.test_field, ":")
        _curves(variance, alike, "log_gradient_variance", "-")
        performance.set_title(f"{layers} {units} layer{'s' if layers > 1 else ''}", fontsize=11)
        variance.set_xlabel("epoch")
        variance.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[0, 0].set_ylabel(panels.performance)
    axes[1, 0].set_ylabel("ln variance of the gradient")
    _annotate(figure, chosen, "; ".join(filter(None, (panels.note, remark))))
    return figure


def _annotate(figure: Figure, rows: Sequence[Row], note: str) -> None:
    """Puts the legend above the panels and what the bands are below them."""
    names = distinct(rows, "estimator")
    lines = [Line2D([], [], color=colour(name), label=label(name)) for name in names]
    styles = [
        Line2D([], [], color="0.4", linestyle="-", label="training"),
        Line2D([], [], color="0.4", linestyle=":", marker="o", markersize=4, fillstyle="none", label="test"),
    ]
    handles = [*lines, *styles]
    entry = 0.5 + max(map(len, [*map(label, names), "training"])) / _LETTERS_AN_INCH_OF_LEGEND
    columns = max(1, min(len(handles), int(figure.get_figwidth() / entry)))
    legend_rows = -(-len(handles) // columns)
    figure.legend(handles=handles, loc="upper center", ncols=columns, frameon=False, fontsize=9)
    seeds = len(distinct(rows, "seed"))
    bands = "one seed" if seeds == 1 else f"{seeds} seeds, bands: 95% confidence interval of the training mean"
    caption = wrap(legible(f"{note}; {bands}"), int(_LETTERS_AN_INCH * figure.get_figwidth()))
    # The name of a file is no formula, whatever is in it.
    figure.text(0.99, 0.008, "\n".join(caption), ha="right", va="bottom", size=8, color="0.4", parse_math=False)
    figure.tight_layout(rect=(0, 0.025 * len(caption), 1, 0.98 - 0.033 * legend_rows))


def _by_epoch(rows: Sequence[Row], field: str) -> dict[int, list[float]]:
    """Returns the values of a field by epoch where it was measured, in the order in which the epochs are first met."""
    values: dict[int, list[float]] = {}
    for row in rows:
        value = row.measured[field]
        if value is not None:
            values.setdefault(row.epoch, []).append(value)
    return values


def _curves(axis: Axes, rows: Sequence[Row], field: str, style: str) -> None:
    """Draws a field against the epochs where it was measured, one curve for every estimator, solid ones with a band."""
    for name in distinct(rows, "estimator"):
        by_epoch = _by_epoch([row for row in rows if row.estimator == name], field)
        epochs = list(by_epoch)
        intervals = [confidence_interval(values) for values in by_epoch.values()]
        mean = np.array([interval.mean for interval in intervals])
        half_width = np.array([interval.half_width for interval in intervals])
        is_test, is_point = style == ":", len(epochs) == 1
        (line,) = axis.plot(epochs, mean, style, color=colour(name), linewidth=1.5, markersize=5 if is_point else 2)
        line.set_marker("o" if is_test or is_point else "")
        line.set_fillstyle("none" if is_test else "full")
        if style == "-" and not np.isnan(half_width).any():
            axis.fill_between(epochs, mean - half_width, mean + half_width, color=colour(name), alpha=0.2, lw=0)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

"""The chart of a comparison: variance against time, a panel for every depth and epoch."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from hnca.experiments.comparison.rows import SURE
from hnca.experiments.estimators import label
from hnca.experiments.records import distinct
from hnca.experiments.store import Row

_COLUMNS = 4
_BLUE = "#0072b2"


def draw_chart(rows: Sequence[Row], directory: Path) -> Path:
    """Draws `comparison.png` and returns its path: further left is faster, lower is less noise, open is biased.

    Points have numbers, the same in every panel, with the names below: names beside points would cover each other.

    Args:
        rows: of the comparison.
        directory: where it goes.
    """
    depths, epochs = distinct(rows, "layers"), distinct(rows, "epoch")
    names = distinct(rows, "estimator")
    lines = -(-len(names) // _COLUMNS)
    height = 4 * len(epochs) + 0.3 * lines + 0.8
    figure = Figure(figsize=(max(8.0, 1 + 4.2 * len(depths)), height))
    axes = figure.subplots(len(epochs), len(depths), squeeze=False)
    for line, epoch in enumerate(epochs):
        for column, depth in enumerate(depths):
            chosen = [row for row in rows if row["layers"] == depth and row["epoch"] == epoch]
            _panel(axes[line, column], chosen, names)
            axes[line, column].set_title(f"{depth} layer{'s' if depth > 1 else ''}, {epoch} epochs", fontsize=10)
        axes[line, 0].set_ylabel("variance of the gradient")
    for axis in axes[-1]:
        axis.set_xlabel("milliseconds an update")
    below = (0.3 * lines + 0.5) / height
    figure.tight_layout(rect=(0, below, 1, 1))
    for place, name in enumerate(names):
        across, down = divmod(place, lines)
        at = 0.03 + 0.97 * across / _COLUMNS, below - (0.3 * (down + 1)) / height
        figure.text(*at, f"{place + 1}  {label(name)}", size=9, va="center")
    figure.text(0.03, 0.15 / height, "open: a bias was found", size=9, color="0.4")
    path = directory / "comparison.png"
    figure.savefig(path, dpi=150)
    return path


def _panel(axis: Axes, rows: Sequence[Row], names: Sequence[str]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for row in rows:
        filled = "none" if row["bias_sureness"] > SURE else _BLUE
        here = row["milliseconds"], row["variance"]
        axis.plot(*here, "o", color=_BLUE, markerfacecolor=filled)
        number = str(names.index(row["estimator"]) + 1)
        axis.annotate(number, here, xytext=(4, 3), textcoords="offset points", fontsize=8)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:.0e}"))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

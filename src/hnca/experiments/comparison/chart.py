"""The chart of a comparison: variance against time, a panel for every depth and epoch."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnca.experiments.estimators import label
from hnca.experiments.records import distinct
from hnca.experiments.store import Row

_SURE = 4.0
"""A bias of so many standard errors is shown as one."""


def draw_chart(rows: Sequence[Row], directory: Path) -> Path:
    """Draws `comparison.png` and returns its path: further left is faster, lower is less noise, open is biased.

    Args:
        rows: of the comparison.
        directory: where it goes.
    """
    depths, epochs = distinct(rows, "layers"), distinct(rows, "epoch")
    figure = Figure(figsize=(1 + 4.2 * len(depths), 0.6 + 4 * len(epochs)))
    axes = figure.subplots(len(epochs), len(depths), squeeze=False)
    for line, epoch in enumerate(epochs):
        for column, depth in enumerate(depths):
            chosen = [row for row in rows if row["layers"] == depth and row["epoch"] == epoch]
            _panel(axes[line, column], chosen)
            axes[line, column].set_title(f"{depth} layer{'s' if depth > 1 else ''}, {epoch} epochs", fontsize=10)
        axes[line, 0].set_ylabel("variance of the gradient")
    for axis in axes[-1]:
        axis.set_xlabel("milliseconds an update")
    figure.tight_layout()
    path = directory / "comparison.png"
    figure.savefig(path, dpi=150)
    return path


def _panel(axis: Axes, rows: Sequence[Row]) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for row in rows:
        biased = row["bias_sureness"] > _SURE
        here = row["milliseconds"], row["variance"]
        axis.plot(*here, "o", color="#0072b2", markerfacecolor="none" if biased else "#0072b2")
        axis.annotate(label(row["estimator"]), here, xytext=(4, 3), textcoords="offset points", fontsize=7)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)

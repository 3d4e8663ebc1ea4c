"""The chart of a comparison: variance against time, a panel for every depth and epoch."""

from collections.abc import Sequence
from pathlib import Path

from adjustText import adjust_text
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from hnca.experiments.comparison.averaging import Averaged
from hnca.experiments.comparison.rows import SURE
from hnca.experiments.comparison.table import title_of
from hnca.experiments.figures.saving import save_figure
from hnca.experiments.methods import label

_COLUMNS = 4
_BLUE = "#0072b2"


def draw_chart(tables: Sequence[Sequence[Averaged]], directory: Path) -> Path:
    """Draws `comparison.png` and returns its path: further left is faster, lower is less noise, open is biased.

    Points have numbers, the same in every panel, with the names below: names beside points would cover each other.

    Args:
        tables: rows of one depth and epoch each.
        directory: where it goes.
    """
    at = {(rows[0].first.layers, rows[0].first.epoch): rows for rows in tables}
    columns, epochs = list(dict.fromkeys(layers for layers, _ in at)), list(dict.fromkeys(epoch for _, epoch in at))
    names = list(dict.fromkeys(row.first.estimator for rows in tables for row in rows))
    lines = -(-len(names) // _COLUMNS)
    height = 4 * len(epochs) + 0.3 * lines + 0.8
    figure = Figure(figsize=(max(8.0, 1 + 4.2 * len(columns)), height))
    axes = figure.subplots(len(epochs), len(columns), squeeze=False)
    panels = []
    for line, epoch in enumerate(epochs):
        for column, layers in enumerate(columns):
            panels.append((axes[line, column], at[layers, epoch]))
            _panel(*panels[-1])
        axes[line, 0].set_ylabel("variance of the gradient")
    for axis in axes[-1]:
        axis.set_xlabel("milliseconds an update")
    below = (0.3 * lines + 0.5) / height
    figure.tight_layout(rect=(0, below, 1, 1))
    for axis, chosen in panels:  # now that their sizes are known
        _number(axis, chosen, names)
    for place, name in enumerate(names):
        across, down = divmod(place, lines)
        corner = 0.03 + 0.97 * across / _COLUMNS, below - (0.3 * (down + 1)) / height
        figure.text(*corner, f"{place + 1}  {label(name)}", size=9, va="center")
    figure.text(0.03, 0.15 / height, "open: a bias was found", size=9, color="0.4")
    return save_figure(figure, directory / "comparison.png")


def _panel(axis: Axes, rows: Sequence[Averaged]) -> None:
    axis.set_title(title_of(rows[0]), fontsize=10)
    axis.set_xscale("log")
    axis.set_yscale("log")
    for row in rows:
        filled = "none" if row.bias.sureness > SURE else _BLUE
        axis.plot(row.first.milliseconds, row.whole, "o", color=_BLUE, markerfacecolor=filled)
    axis.margins(0.1)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:.0e}"))
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _number(axis: Axes, rows: Sequence[Averaged], names: Sequence[str]) -> None:
    """Puts numbers beside the points, joined to them by a line where there is no room beside."""
    across, up = [row.first.milliseconds for row in rows], [row.whole for row in rows]
    numbers = [str(names.index(row.first.estimator) + 1) for row in rows]
    texts = [axis.text(x, y, number, fontsize=8) for x, y, number in zip(across, up, numbers, strict=True)]
    adjust_text(
        texts, across, up, ax=axis, expand=(1.3, 1.4), arrowprops={"arrowstyle": "-", "color": "0.6", "lw": 0.6}
    )

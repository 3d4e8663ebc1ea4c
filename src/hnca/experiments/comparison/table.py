"""The tables of a comparison: on the terminal, and as Markdown to be kept."""

import math
from collections.abc import Sequence

from rich.table import Table

from hnca.experiments.comparison.averaging import Averaged, Logarithms
from hnca.experiments.comparison.rows import SURE
from hnca.experiments.methods import label

_HEADINGS = ("relative bias", "ln variance by layer", "passes", "evaluations", "ms", "variance x ms")
_WITHIN = "ln within a batch"


def title_of(row: Averaged) -> str:
    """Returns what the table that the row is in is about."""
    experiment, layers, epoch = row.first[:3]
    when = f"after {epoch} epoch{'' if epoch == 1 else 's'}" if epoch else "at initialisation"
    return f"{experiment}, {depth_of(layers)}, {when}"


def depth_of(layers: int) -> str:
    """Returns a number of layers in words."""
    return f"{layers} layer{'' if layers == 1 else 's'}"


def terminal_table(rows: Sequence[Averaged]) -> Table:
    """Returns the rows of one depth and epoch as a table, in the order in which they come."""
    table = Table(title=f"{title_of(rows[0])}, by variance times time", caption=_of_several(rows[0]))
    # On a narrow terminal cells become higher, and nothing of a number is left out.
    table.add_column("estimator", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        table.add_row(label(row.first.estimator), _bias(row), _by_layer(row.variance), *_costs(row))
    return table


def markdown_tables(tables: Sequence[Sequence[Averaged]]) -> str:
    """Returns all rows as Markdown, a table for every depth and epoch, with the variance within a batch beside."""
    return "\n".join(f"### {title_of(rows[0])}\n\n{_markdown(rows)}" for rows in tables)


def _markdown(rows: Sequence[Averaged]) -> str:
    headings = ["estimator", *_HEADINGS[:2], _WITHIN, *_HEADINGS[2:]]
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        variances = _by_layer(row.variance), _by_layer(row.within_batch)
        lines.append([label(row.first.estimator), _bias(row), *variances, *_costs(row)])
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    several = _of_several(rows[0])
    return f"{table}\n{several}\n" if several else table


def _of_several(row: Averaged) -> str | None:
    if row.pairs == 1:
        return None
    return f"Mean and standard deviation of ln variance over {row.pairs} pairs of a network and a batch."


def _bias(row: Averaged) -> str:
    """Returns the bias if one was found, else what it is below."""
    if row.bias.sureness > SURE:
        return f"{row.bias.relative:.3f} ± {row.bias.error:.3f}"
    bound = row.bias.bound
    return f"< {math.ceil(1000 * bound) / 1000:.3f}" if bound < 10 else f"< {math.ceil(bound)}"


def _by_layer(logarithms: Logarithms) -> str:
    return " ".join(f"{mean:.2f}" + (f"±{spread:.2f}" if spread else "") for mean, spread in logarithms.values())


def _costs(row: Averaged) -> list[str]:
    passes, time = f"{row.first.forward_passes:.3g}", f"{row.first.milliseconds:.2f}"
    return [passes, str(row.first.evaluations), time, f"{row.variance_times_milliseconds:.3g}"]

"""The tables of a comparison: on the terminal, and as Markdown to be kept."""

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from hnca.experiments.comparison.rows import SURE, Compared
from hnca.experiments.methods import label
from hnca.experiments.store import distinct

_HEADINGS = ("relative bias", "ln variance by layer", "passes", "evaluations", "ms", "variance x ms")
_WITHIN = "ln within a batch"


def title_of(row: Compared) -> str:
    """Returns what the table that the row is in is about."""
    layers = f"{row.layers} layer{'' if row.layers == 1 else 's'}"
    when = f"after {row.epoch} epoch{'' if row.epoch == 1 else 's'}" if row.epoch else "at initialisation"
    return f"{row.experiment}, {layers}, {when}"


def terminal_table(rows: Sequence[Compared]) -> Table:
    """Returns the rows of one depth and epoch as a table, in the order in which they come."""
    table = Table(title=f"{title_of(rows[0])}, by variance times time")
    # On a narrow terminal cells become higher, and nothing of a number is left out.
    table.add_column("estimator", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", overflow="fold")
    for row in rows:
        table.add_row(label(row.estimator), _bias(row), _by_layer(row.variance_by_layer), *_costs(row))
    return table


def markdown_tables(rows: Sequence[Compared]) -> str:
    """Returns all rows as Markdown, a table for every depth and epoch, with the variance within a batch beside."""
    text = []
    for layers in distinct(rows, "layers"):
        alike = [row for row in rows if row.layers == layers]
        for epoch in distinct(alike, "epoch"):
            chosen = [row for row in alike if row.epoch == epoch]
            text.append(f"### {title_of(chosen[0])}\n\n{_markdown(chosen)}")
    return "\n".join(text)


def _markdown(rows: Sequence[Compared]) -> str:
    headings = ["estimator", *_HEADINGS[:2], _WITHIN, *_HEADINGS[2:]]
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        variances = _by_layer(row.variance_by_layer), _by_layer(row.variance_within_batch_by_layer)
        lines.append([label(row.estimator), _bias(row), *variances, *_costs(row)])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _bias(row: Compared) -> str:
    """Returns the bias if one was found, else what it is below."""
    if row.bias_sureness > SURE:
        return f"{row.relative_bias:.3f} ± {row.relative_bias_error:.3f}"
    bound = row.relative_bias_bound
    return f"< {math.ceil(1000 * bound) / 1000:.3f}" if bound < 10 else f"< {math.ceil(bound)}"


def _by_layer(variances: Mapping[str, float]) -> str:
    return " ".join(f"{math.log(variance):.2f}" if variance > 0 else "-inf" for variance in variances.values())


def _costs(row: Compared) -> list[str]:
    passes, time = f"{row.forward_passes:.3g}", f"{row.milliseconds:.2f}"
    return [passes, str(row.evaluations), time, f"{row.variance_times_milliseconds:.3g}"]

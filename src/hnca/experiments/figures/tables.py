"""The table at the end of an experiment."""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from hnca.experiments.figures.intervals import confidence_interval
from hnca.experiments.methods import label
from hnca.experiments.store import Row, distinct


def final_table(rows: Sequence[Row], headings: Mapping[str, str], digits: int) -> Table:
    """Returns the last epoch's measurements, mean and 95% interval over seeds, one line a depth and estimator.

    Args:
        rows: the metrics.
        headings: of the columns, by the field they show.
        digits: decimals.
    """
    final = _final(rows)
    seeds = len(distinct(rows, "seed"))
    epochs = distinct(final, "epoch")
    which = f"epoch {epochs[0]}" if len(epochs) == 1 else "the last epoch of each"
    title = f"{which}, " + ("one seed" if seeds == 1 else f"mean over {seeds} seeds and 95% confidence interval")
    table = Table(title=title)
    # On a narrow terminal cells become higher, and nothing of a number is left out.
    table.add_column("layers", justify="right", no_wrap=True)
    table.add_column("estimator", overflow="fold")
    for heading in headings.values():
        table.add_column(heading, justify="right", overflow="fold")
    for layers, estimator, cells in final_cells(rows, dict.fromkeys(headings, digits)):
        table.add_row(str(layers), estimator, *cells)
    return table


def final_cells(rows: Sequence[Row], digits: Mapping[str, int]) -> Iterator[tuple[int, str, list[str]]]:
    """Yields layers, estimator and cells of the last epoch's measurements.

    Args:
        rows: the metrics.
        digits: decimals of each field that has a cell.
    """
    final = _final(rows)
    for layers in distinct(final, "layers"):
        alike = [row for row in final if row.layers == layers]
        for name in distinct(alike, "estimator"):
            chosen = [row for row in alike if row.estimator == name]
            yield (
                layers,
                label(name),
                [_cell([row.measured[field] for row in chosen], places) for field, places in digits.items()],
            )


def _final(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows of the last epoch of each depth and estimator."""
    last: dict[tuple[int, str], int] = {}
    for row in rows:
        of = row.layers, row.estimator
        last[of] = max(row.epoch, last.get(of, 0))
    return [row for row in rows if row.epoch == last[row.layers, row.estimator]]


def _cell(values: Sequence[float | None], digits: int) -> str:
    """Returns mean and interval, or a dash if the epoch was not tested."""
    measured = [value for value in values if value is not None]
    return confidence_interval(measured).text(digits) if measured else "-"

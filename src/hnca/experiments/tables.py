"""The table at the end of an experiment."""

from collections.abc import Sequence

from rich.table import Table

from hnca.experiments.intervals import confidence_interval
from hnca.experiments.records import Row, distinct, method_label

COLUMNS = {
    "train_accuracy": "train accuracy",
    "test_accuracy": "test accuracy",
    "log_gradient_variance": "ln variance",
}


def bandit_table(rows: Sequence[Row]) -> Table:
    """Returns the last epoch's measurements, mean and 95% interval over seeds, one line a depth and estimator."""
    last = max(row["epoch"] for row in rows)
    seeds = len(distinct(rows, "seed"))
    title = f"epoch {last}, " + ("one seed" if seeds == 1 else f"mean over {seeds} seeds and 95% confidence interval")
    table = Table(title=title)
    table.add_column("layers", justify="right")
    table.add_column("estimator", no_wrap=True)
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    final = [row for row in rows if row["epoch"] == last]
    for depth in distinct(final, "layers"):
        of_depth = [row for row in final if row["layers"] == depth]
        for label in dict.fromkeys(map(method_label, of_depth)):
            chosen = [row for row in of_depth if method_label(row) == label]
            cells = [str(confidence_interval([row[field] for row in chosen])) for field in COLUMNS]
            table.add_row(str(depth), label, *cells)
    return table

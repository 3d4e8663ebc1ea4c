"""Makes a table of kept runs, a line each: of one epoch, mean and 95% interval over seeds.

python benchmarks/run_tables.py benchmarks/results/figure4 --fields train_accuracy test_accuracy log_gradient_variance
python benchmarks/run_tables.py 1e-3=runs/slow 3e-3=runs/fast --fields train_elbo --epoch 20   # a column each
"""

import argparse
from pathlib import Path

from cells import bold, heading, positive_zero, table

from hnca.experiments.figures.intervals import confidence_interval
from hnca.experiments.methods import label
from hnca.experiments.store import distinct, read_rows


def parser():
    """Returns what reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", help="with runs in them; NAME=DIRECTORY makes columns of that name")
    parser.add_argument("--fields", nargs="+", required=True, help="of the metrics")
    parser.add_argument("--digits", type=int, nargs="+", default=[4], help="decimals, of all or of each field")
    parser.add_argument("--epoch", type=int, help="by default the last of each run")
    parser.add_argument("--layers", type=int, nargs="+", help="only these depths")
    parser.add_argument("--estimators", nargs="+", help="only these, in this order")
    parser.add_argument("--hours", action="store_true", help="tell how long a run took, all seeds together")
    parser.add_argument("--bold", action="store_true", help="the highest of each depth in the first column of numbers")
    return parser


def read(directories):
    """Returns rows by the name of their columns."""
    found = {}
    for argument in directories:
        name, _, directory = argument.rpartition("=")
        found.setdefault(name, []).extend(read_rows(Path(directory)))
    return found


def values(rows, layers, estimator, epoch, field):
    """Returns what the seeds of a run measured in an epoch, by default its last."""
    rows = [row for row in rows if (row.layers, row.estimator) == (layers, estimator)]
    epoch = max((row.epoch for row in rows), default=0) if epoch is None else epoch
    measured = [row.measured[field] for row in rows if row.epoch == epoch]
    return [value for value in measured if value is not None]


def hours(rows, layers, estimator):
    """Returns how long a run took, of which every seed's rows tell the seconds of all."""
    rows = [row for row in rows if (row.layers, row.estimator) == (layers, estimator)]
    return sum({row.epoch: row.seconds for row in rows}.values()) / 3600


def made(arguments):
    """Returns the table."""
    named = read(arguments.directories)
    every = [row for rows in named.values() for row in rows]
    depths = arguments.layers or sorted(distinct(every, "layers"))
    estimators = arguments.estimators or distinct(every, "estimator")
    digits = dict(zip(arguments.fields, arguments.digits * len(arguments.fields), strict=False))
    columns = [(name, field) for name in named for field in arguments.fields]
    lines = [["layers", "estimator", *(": ".join(filter(None, (name, heading(field)))) for name, field in columns)]]
    lines[0] += ["hours"] if arguments.hours else []
    for layers in depths:
        found = []
        for estimator in estimators:
            cells = [values(named[name], layers, estimator, arguments.epoch, field) for name, field in columns]
            if any(cells):
                found.append((estimator, [confidence_interval(cell) if cell else None for cell in cells]))
        best = max((cells[0].mean for _, cells in found if cells[0]), default=None)
        for estimator, cells in found:
            texts = [
                positive_zero(cell.text(digits[field])) if cell else "–"
                for cell, (_, field) in zip(cells, columns, strict=True)
            ]
            if arguments.bold and cells[0] and cells[0].mean == best:
                texts[0] = bold(texts[0])
            texts += [f"{hours(every, layers, estimator):.1f}"] if arguments.hours else []
            lines.append([layers, label(estimator), *texts])
    return table(lines)


if __name__ == "__main__":
    print(made(parser().parse_args()))

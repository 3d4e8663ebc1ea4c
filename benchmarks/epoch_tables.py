"""Makes a table of what kept runs had after some epochs, a line an epoch: means over seeds.

python benchmarks/epoch_tables.py RUN:FIELD,FIELD [NAME=RUN:FIELD ...] --epochs 20 100 840
"""

import argparse
from pathlib import Path
from statistics import mean

from cells import bold, heading, number, table

from hnca.experiments.methods import label
from hnca.experiments.store import read_configuration, read_metrics


def parser():
    """Returns what reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("columns", nargs="+", help="[NAME=]RUN:FIELD[,FIELD...], by default named by the estimator")
    parser.add_argument("--within", type=Path, default=Path(), help="the folder of the runs")
    parser.add_argument("--epochs", type=int, nargs="+", required=True)
    parser.add_argument("--digits", type=int, default=1, help="decimals")
    parser.add_argument("--updates", action="store_true", help="tell how many updates that were, in place of epochs")
    parser.add_argument("--bold", action="store_true", help="the highest of the last line's first fields")
    return parser


def made(arguments):
    """Returns the table."""
    alike = len({argument.rpartition(":")[2] for argument in arguments.columns}) == 1
    headings, columns, firsts, updates = [], [], [], set()
    for argument in arguments.columns:
        name, _, rest = argument.rpartition("=")
        run, _, fields = rest.rpartition(":")
        configuration, rows = (read(arguments.within / run) for read in (read_configuration, read_metrics))
        updates.add(configuration["data"]["train_images"] // configuration["settings"]["batch_size"])
        name = name or (label(configuration["estimator"]) if len(arguments.columns) > 1 else "")
        firsts.append(len(columns))
        columns += [[_mean(rows, field, epoch) for epoch in arguments.epochs] for field in fields.split(",")]
        first, *others = map(heading, fields.split(","))
        # What all runs have but one field of needs no word of it in each heading.
        headings += [name] if name and alike and not others else [f"{name}: {first}" if name else first, *others]
    if arguments.updates and len(updates) > 1:
        raise SystemExit(f"--updates: these runs have {sorted(updates)} of them an epoch")
    scale = updates.pop() if arguments.updates else 1
    times = [f"{epoch * scale:,}" for epoch in arguments.epochs]
    cells = [[number(value, arguments.digits) for value in column] for column in columns]
    if arguments.bold:
        best = max(columns[place][-1] for place in firsts if columns[place][-1] is not None)
        for place in firsts:
            if columns[place][-1] == best:
                cells[place][-1] = bold(cells[place][-1])
    lines = zip(times, *cells, strict=True)
    return table([["updates" if arguments.updates else "epoch", *headings], *lines])


def _mean(rows, field, epoch):
    """Returns the mean over seeds, or None if nothing was measured."""
    values = [row.measured[field] for row in rows if row.epoch == epoch and row.measured[field] is not None]
    return mean(values) if values else None


if __name__ == "__main__":
    print(made(parser().parse_args()))

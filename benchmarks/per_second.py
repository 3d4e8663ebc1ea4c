"""Draws what runs have learned against seconds, not epochs, in one picture, and tells what each had after some seconds.

hnca bench --experiments vae --layers 2 3 --estimators ... --json times.jsonl       # while nothing else runs
python benchmarks/per_second.py RUN [RUN ...] --times times.jsonl --after 60 120 --picture seconds.png

A run's own seconds tell what else ran beside it. Here an epoch takes its updates times the milliseconds of one as `hnca
bench` has measured it, all estimators in turns.
"""

import argparse
import json
import math
from pathlib import Path

from cells import bold, table
from matplotlib.figure import Figure

from hnca.experiments.methods import colour, label
from hnca.experiments.store import distinct, read_configuration, read_metrics


def milliseconds(path):
    """Returns milliseconds an update, without measuring variance, by experiment, layers, batch size and estimator."""
    rows = [row for row in map(json.loads, path.read_text().splitlines()) if not row["measure_variance"]]
    keys = ("experiment", "layers", "batch_size", "estimator")
    return {tuple(row[key] for key in keys): row["milliseconds_per_update"] for row in rows}


def curve(run, times, field):
    """Returns depth, estimator, and pairs of seconds and the field's mean over seeds, one an epoch that has it."""
    configuration = read_configuration(run)
    settings, data = configuration["settings"], configuration["data"]
    layers, estimator = configuration["layers"], configuration["estimator"]
    updates = data["train_images"] // settings["batch_size"]
    epoch = updates * times[configuration["experiment"], layers, settings["batch_size"], estimator] / 1000
    rows = [row for row in read_metrics(run) if row.measured[field] is not None]
    points = []
    for number in distinct(rows, "epoch"):
        values = [row.measured[field] for row in rows if row.epoch == number]
        points.append((number * epoch, sum(values) / len(values)))
    return layers, estimator, points


def lines(curves, after):
    """Returns a table's lines: the last value within each number of seconds, a dash where a run ended before.

    The highest of each depth and column stands out.
    """
    found = [["layers", "estimator", *(f"after {seconds:g} s" for seconds in after)]]
    for depth in sorted({layers for layers, _, _ in curves}):
        of_depth = {label(estimator): points for layers, estimator, points in curves if layers == depth}
        had = {name: [_last(points, seconds) for seconds in after] for name, points in of_depth.items()}
        best = [max(column) for column in zip(*had.values(), strict=True)]
        for name, values in sorted(had.items(), key=lambda each: -each[1][-1]):
            pairs = [(_text(value), _text(highest)) for value, highest in zip(values, best, strict=True)]
            found.append([depth, name, *(bold(a) if a == b != _text(-math.inf) else a for a, b in pairs)])
    return found


def _text(value):
    return "–" if value == -math.inf else f"{value:#.4g}"


def _last(points, seconds):
    """Returns the last value within so many seconds, or minus infinity if there is none yet or the run ended before."""
    values = [value for time, value in points if time <= seconds]
    return values[-1] if values and points[-1][0] + points[0][0] >= seconds else -math.inf


def draw(curves, field, least, path):
    """Draws a panel a depth."""
    depths = sorted({layers for layers, _, _ in curves})
    figure = Figure(figsize=(1.4 + 4.4 * len(depths), 4.6))
    axes = figure.subplots(1, len(depths), squeeze=False, sharey=True)[0]
    for axis, depth in zip(axes, depths, strict=True):
        # The legend in the order in which the curves end, as far as they are as long.
        for layers, estimator, points in sorted(curves, key=lambda each: -each[2][-1][1]):
            if layers == depth:
                axis.plot(*zip(*points, strict=True), color=colour(estimator), label=label(estimator), linewidth=1.5)
        axis.set_title(f"{depth} layer{'s' if depth > 1 else ''}", fontsize=11)
        axis.set_xlabel("seconds")
        axis.legend(frameon=False, fontsize=6, labelspacing=0.2, loc="lower right")
    if least is not None:
        axes[0].set_ylim(bottom=least)
    axes[0].set_ylabel(field.replace("_", " "))
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def parser():
    """Returns what reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="or folders with runs in them")
    parser.add_argument("--times", type=Path, required=True)
    parser.add_argument("--field", default="train_elbo")
    parser.add_argument("--layers", type=int, nargs="+", help="only these depths")
    parser.add_argument("--after", type=float, nargs="+", default=[30, 60, 120], help="seconds")
    parser.add_argument("--least", type=float, help="where the picture's axis begins")
    parser.add_argument("--picture", type=Path)
    return parser


def curves_of(arguments):
    """Returns the curve of each run."""
    times = milliseconds(arguments.times)
    paths = [path.parent for run in arguments.runs for path in sorted(run.rglob("config.json"))]
    curves = [curve(path, times, arguments.field) for path in paths]
    return [each for each in curves if arguments.layers is None or each[0] in arguments.layers]


def made(arguments):
    """Returns the table."""
    return table(lines(curves_of(arguments), arguments.after))


def main():
    """Reads the command line."""
    arguments = parser().parse_args()
    print(made(arguments))
    if arguments.picture is not None:
        draw(curves_of(arguments), arguments.field, arguments.least, arguments.picture)


if __name__ == "__main__":
    main()

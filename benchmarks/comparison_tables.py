"""Makes the tables and the chart of `docs/comparison.md` from kept rows, with times taken while nothing else ran.

hnca compare --layers L --epochs 0 5 --seeds 3 --batches 2 ...             # comparison.json, a file for each depth
hnca bench --experiments vae --layers 1 2 3 --estimators ... --json times.jsonl
python benchmarks/comparison_tables.py times.jsonl linear-*.json --picture docs/pictures
"""

import argparse
import json
from pathlib import Path

from hnca.experiments.comparison.averaging import averaged_tables
from hnca.experiments.comparison.chart import draw_chart
from hnca.experiments.comparison.rows import Compared
from hnca.experiments.comparison.table import markdown_tables


def times_of(path):
    """Returns milliseconds an update, without measuring variance, by depth and estimator."""
    rows = map(json.loads, path.read_text().splitlines())
    return {(r["layers"], r["estimator"]): r["milliseconds_per_update"] for r in rows if not r["measure_variance"]}


def rows_of(path, times):
    """Returns the rows of a comparison, with other times than theirs."""
    for fields in json.loads(path.read_text()):
        row = Compared(**fields)
        milliseconds = times[row.layers, row.estimator]
        product = row.variance * milliseconds
        yield row._replace(milliseconds=milliseconds, variance_times_milliseconds=product)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("times", type=Path)
    parser.add_argument("comparisons", type=Path, nargs="+")
    parser.add_argument("--picture", type=Path, help="the folder for comparison.png")
    arguments = parser.parse_args()
    times = times_of(arguments.times)
    found = averaged_tables([row for path in arguments.comparisons for row in rows_of(path, times)])
    print(markdown_tables(found))
    if arguments.picture is not None:
        draw_chart(found, arguments.picture)


if __name__ == "__main__":
    main()

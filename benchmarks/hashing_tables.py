"""Makes a table of what `benchmarks/hashing.py` wrote: each estimator at its best rate, the best code first.

python benchmarks/hashing_tables.py hashing.jsonl --task labels
"""

import argparse
import json
import statistics
from pathlib import Path

from cells import bold, table


def rows_of(path):
    """Returns the rows of a file; none if there is no file yet."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def best_rate(rows, task, name):
    """Returns the rate that was best on validation queries, with the first seed."""
    tried = [row for row in rows if (row["task"], row["estimator"], row["seed"]) == (task, name, 0)]
    return max(tried, key=lambda row: row["validation"])["rate"]


def parser():
    """Returns what reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--task", required=True, help="labels or images")
    return parser


def made(arguments):
    """Returns the table: at the rate of the best code, and the lowest loss at any rate."""
    rows = [row for row in rows_of(arguments.rows) if row["task"] == arguments.task]
    found = {}
    for name in {row["estimator"] for row in rows}:
        tried = [row for row in rows if row["estimator"] == name]
        rate = best_rate(rows, arguments.task, name)
        best = [row for row in tried if row["rate"] == rate]
        found[name] = best, min((row for row in tried if row["seed"] == 0), key=lambda row: row["loss"])
    lines = [["estimator", "mean average precision", "rate", "loss, nats", "lowest loss", "its rate", "seeds"]]
    for name, (best, lowest) in sorted(found.items(), key=lambda each: -_mean(each[1][0], "test")):
        precision, least = f"{_mean(best, 'test'):.3f}", f"{lowest['loss']:#.4g}"
        precision = precision if len(lines) > 1 else bold(precision)
        least = bold(least) if lowest["loss"] == min(low["loss"] for _, low in found.values()) else least
        loss = f"{_mean(best, 'loss'):#.4g}"
        lines.append([name, precision, f"{best[0]['rate']:g}", loss, least, f"{lowest['rate']:g}", len(best)])
    return table(lines)


def _mean(rows, field):
    return statistics.mean(row[field] for row in rows)


if __name__ == "__main__":
    print(made(parser().parse_args()))

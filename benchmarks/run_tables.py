"""Makes the tables of `docs/results.md` from kept runs: the last epoch of each, mean and 95% interval over seeds.

python benchmarks/run_tables.py benchmarks/results/figure4 --fields train_accuracy test_accuracy log_gradient_variance
"""

import argparse
from pathlib import Path

from hnca.experiments.figures.tables import final_cells
from hnca.experiments.store import read_rows


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="with runs in it, such as runs/figure4")
    parser.add_argument("--fields", nargs="+", required=True, help="of the metrics")
    parser.add_argument("--digits", type=int, default=4)
    arguments = parser.parse_args()
    fields = arguments.fields
    lines = [["layers", "estimator", *fields], ["---"] * (2 + len(fields))]
    rows = read_rows(arguments.directory)
    for layers, estimator, cells in final_cells(rows, dict.fromkeys(fields, arguments.digits)):
        lines.append([str(layers), estimator, *cells])
    print("\n".join("| " + " | ".join(line) + " |" for line in lines))


if __name__ == "__main__":
    main()

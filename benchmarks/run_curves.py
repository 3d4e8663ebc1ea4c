"""Draws a figure of the paper from kept runs, which may have been run to different lengths.

python benchmarks/run_curves.py RUNS --experiment vae --figure 3 --least -150 --remark MNIST --picture figure3.png
"""

import argparse
from pathlib import Path

from hnca.experiments.figures.curves import paper_figure
from hnca.experiments.registry import experiment_class
from hnca.experiments.store import complete, read_rows


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="with runs in it, such as runs/figure3")
    parser.add_argument("--experiment", required=True, help="of the runs: bandit or vae")
    parser.add_argument("--figure", type=int, required=True, help="of the paper")
    parser.add_argument("--least", type=float, default=None, help="where the upper panels begin")
    parser.add_argument("--remark", default="", help="what is said beside it, such as the data")
    parser.add_argument("--picture", type=Path, required=True, help="where to draw it")
    arguments = parser.parse_args()
    experiment = experiment_class(arguments.experiment)
    rows = complete(read_rows(arguments.directory), (*experiment.train_fields, *experiment.test_fields))
    figure = paper_figure(experiment.panels[arguments.figure], experiment.units, rows, arguments.remark)
    if arguments.least is not None:
        figure.axes[0].set_ylim(bottom=arguments.least)
    figure.savefig(arguments.picture, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()

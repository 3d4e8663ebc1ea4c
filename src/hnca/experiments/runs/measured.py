"""What an epoch measured, as the rows of metrics files."""

from collections.abc import Sequence

import numpy as np

from hnca.experiments.experiment import Experiment
from hnca.experiments.store import Row
from hnca.experiments.training.epochs import Epoch


def rows_of(
    experiment: Experiment, estimator: str, layers: int, number: int, epoch: Epoch, seconds: float
) -> list[Row]:
    """Returns a row for every seed; the logarithm of no variance at all, which JSON cannot hold, is None there.

    Args:
        experiment: what was trained.
        estimator: the estimator's name on the command line.
        layers: how many hidden layers.
        number: of the epoch: 1, 2, ...
        epoch: what it left behind.
        seconds: how long it took.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_variance = np.log(np.asarray(epoch.measures["gradient_variance"]))
    fields = (*experiment.train_fields, *experiment.test_fields, *experiment.further_fields)
    measures = {field: np.asarray(epoch.measures[field]) for field in fields if field in epoch.measures}
    return [
        Row(
            experiment.name,
            estimator,
            experiment.identity(),
            layers,
            seed,
            number,
            {
                **{field: float(measures[field][seed]) if field in measures else None for field in fields},
                "log_gradient_variance": None if np.isneginf(log_variance[seed]) else float(log_variance[seed]),
            },
            round(seconds, 3),
        )
        for seed in range(len(log_variance))
    ]


def means_of(rows: Sequence[Row], experiment: Experiment) -> dict[str, float]:
    """Returns the mean over an epoch's rows of what was measured in it on training and test images, by field."""
    fields = [f for f in (*experiment.train_fields, *experiment.test_fields) if rows[0].measured[f] is not None]
    return {field: float(np.mean([row.measured[field] for row in rows])) for field in fields}

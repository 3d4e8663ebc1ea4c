"""Rows of one estimator on several networks and batches, as one."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hnca.experiments.comparison.rows import ONE_SIDED, Bias, Compared

Logarithms = dict[str, tuple[float, float]]
"""For every layer the mean of the logarithm, and its standard deviation."""


class Averaged(NamedTuple):
    """What several rows come to.

    Attributes:
        first: one of them: what they have alike is in it.
        pairs: how many they are, of a network and a batch.
        bias: the root of the mean square.
        variance: by layer, in ln.
        within_batch: likewise, of the variance within a batch.
        whole: the geometric mean of the variance over all parameters.
    """

    first: Compared
    pairs: int
    bias: Bias
    variance: Logarithms
    within_batch: Logarithms
    whole: float

    @property
    def variance_times_milliseconds(self) -> float:
        """What a given precision costs."""
        return self.whole * self.first.milliseconds


def averaged_tables(rows: Sequence[Compared]) -> list[list[Averaged]]:
    """Returns rows over networks and batches, by variance times time, for every depth and epoch."""
    tables: dict[tuple[int, int], dict[str, list[Compared]]] = {}
    for row in rows:
        tables.setdefault((row.layers, row.epoch), {}).setdefault(row.estimator, []).append(row)
    return [
        sorted(map(averaged, table.values()), key=lambda row: row.variance_times_milliseconds)
        for table in tables.values()
    ]


def averaged(rows: Sequence[Compared]) -> Averaged:
    """Returns what rows of one estimator, depth and epoch come to."""
    return Averaged(
        rows[0],
        len(rows),
        mean_bias([bias_of(row) for row in rows]),
        _logarithms([row.variance_by_layer for row in rows]),
        _logarithms([row.variance_within_batch_by_layer for row in rows]),
        math.exp(statistics.fmean(_ln(row.variance) for row in rows)),
    )


def bias_of(row: Compared) -> Bias:
    """Returns what is known of the bias."""
    return Bias(row.relative_bias, row.relative_bias_error, row.relative_bias_bound, row.bias_sureness)


def mean_bias(found: Sequence[Bias]) -> Bias:
    """Returns the root of the mean square of several biases; their errors are independent."""
    # The error of a bias's square is in its bound, and the square, which may be negative, in how sure it is.
    errors = [(bias.bound**2 - bias.relative**2) / ONE_SIDED for bias in found]
    squared = statistics.fmean(bias.sureness * error for bias, error in zip(found, errors, strict=True))
    error = math.hypot(*errors) / len(errors)
    relative = max(squared, 0.0) ** 0.5
    bound = (relative**2 + ONE_SIDED * error) ** 0.5
    around = max(squared, error) ** 0.5
    return Bias(relative, error / (2 * around) if around else 0.0, bound, squared / error if error else 0.0)


def _logarithms(variances: Sequence[Mapping[str, float]]) -> Logarithms:
    return {name: _spread([_ln(variance[name]) for variance in variances]) for name in variances[0]}


def _spread(values: Sequence[float]) -> tuple[float, float]:
    apart = len(values) > 1 and all(map(math.isfinite, values))
    return statistics.fmean(values), statistics.stdev(values) if apart else 0.0


def _ln(variance: float) -> float:
    return math.log(variance) if variance > 0 else -math.inf

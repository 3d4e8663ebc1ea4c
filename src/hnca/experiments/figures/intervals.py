"""Means over seeds and their confidence intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit


class Interval(NamedTuple):
    """A mean and the half-width of its two-sided confidence interval (NaN for a single value)."""

    mean: float
    half_width: float

    def text(self, digits: int) -> str:
        """Returns both as they are shown, with so many decimals."""
        mean = f"{self.mean:.{digits}f}"
        return mean if np.isnan(self.half_width) else f"{mean} ± {self.half_width:.{digits}f}"


def confidence_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Returns the mean of independent values and its interval by Student's t distribution."""
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, float("nan"))
    quantile = float(stdtrit(count - 1, 0.5 + level / 2))
    return Interval(mean, quantile * float(np.std(values, ddof=1)) / count**0.5)

"""What the draws say of an estimator, as a row."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PyTree

from hnca.experiments.comparison.moments import Drawn
from hnca.experiments.store import Row

SURE = 4.0
"""A bias whose square is so many standard errors from 0 is said to be found."""

_ONE_SIDED = 1.645
"""Standard errors that a normal variable exceeds with a probability of 5%."""


class Bias(NamedTuple):
    """The length of `E[g] - true` over that of `true`: what is known of it.

    Attributes:
        relative: the root of the estimate of its square; 0 where that is negative, as noise alone makes it half of the
            time. Small ones are not normally distributed: the square is.
        error: standard error of `relative`, where a bias was found.
        bound: it is below this, at a level of 95%.
        sureness: the estimate of its square in standard errors of that.
    """

    relative: float
    error: float
    bound: float
    sureness: float


def measured_row(drawn: Drawn, reference: Drawn) -> Row:
    """Returns relative bias and variances.

    Args:
        drawn: of the estimator.
        reference: of an unbiased one, with draws of its own, whose mean stands for the true gradient.
    """
    bias = relative_bias(drawn, reference)
    return {
        "relative_bias": bias.relative,
        "relative_bias_error": bias.error,
        "relative_bias_bound": bias.bound,
        "bias_sureness": bias.sureness,
        "variance": _mean(drawn.variance),
        "variance_by_layer": {name: _mean(layer) for name, layer in drawn.variance.items()},
        "variance_within_batch_by_layer": {name: float(value) for name, value in drawn.within_batch.items()},
        "draws": drawn.draws,
    }


def relative_bias(drawn: Drawn, reference: Drawn) -> Bias:
    """Returns the bias, from differences between the means of the groups of both.

    With `d_g` the difference of group `g`, the squared length of the bias is the mean of `<d_g, d_h>` over all pairs of
    different groups, which noise does not add to, however correlated parameters are; likewise that of the true
    gradient. The standard error of the former is the jackknife's, each group left out once.
    """
    truth = _flat(reference.means)
    products = _products(_flat(drawn.means) - truth)
    squared = _mean_over_pairs(products)
    without = np.array([_mean_over_pairs(np.delete(np.delete(products, g, 0), g, 1)) for g in range(len(products))])
    count = len(without)
    error = float(np.sqrt((count - 1) / count * np.sum((without - np.mean(without)) ** 2)))
    of_truth = _products(truth)
    length = _mean_over_pairs(of_truth)
    if length <= 0:  # too few draws to see the true gradient through its noise, which is then all there is
        length = float(np.mean(of_truth))
    length **= 0.5
    around, bound = max(squared, error) ** 0.5, (max(squared, 0.0) + _ONE_SIDED * error) ** 0.5
    return Bias(max(squared, 0.0) ** 0.5 / length, error / (2 * around) / length, bound / length, squared / error)


def _products(vectors: Float[np.ndarray, "groups parameters"]) -> Float[np.ndarray, "groups groups"]:
    return vectors @ vectors.T


def _mean_over_pairs(products: Float[np.ndarray, "groups groups"]) -> float:
    count = len(products)
    return float((np.sum(products) - np.trace(products)) / (count * (count - 1)))


def _flat(means: PyTree) -> Float[np.ndarray, "groups parameters"]:
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(means)]
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def _mean(variance: PyTree) -> float:
    """Returns the mean over all parameters, each counted once."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(variance)]
    return float(sum(np.sum(leaf) for leaf in leaves) / sum(leaf.size for leaf in leaves))

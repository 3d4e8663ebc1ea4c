"""What the draws say of an estimator, as a row."""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, PyTree

from hnca.estimators import Cost
from hnca.experiments.comparison.moments import Drawn

SURE = 4.0
"""A bias whose square is so many standard errors from 0 is said to be found."""

ONE_SIDED = 1.645
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


class Compared(NamedTuple):
    """A row of `comparison.json`.

    Attributes:
        experiment: its name.
        layers: how many hidden ones.
        epoch: of training that the network has behind it.
        estimator: the name on the command line.
        seed: of the network's parameters.
        batch: the number of the batch; 0 is of the first images.
        relative_bias: as `Bias.relative`.
        relative_bias_error: as `Bias.error`.
        relative_bias_bound: as `Bias.bound`.
        bias_sureness: as `Bias.sureness`.
        variance: of the gradient, mean over all parameters.
        variance_by_layer: the same for the parameters of each layer.
        variance_within_batch_by_layer: the mean over parameters of the per-example gradients' variance.
        draws: how many.
        forward_passes: as `Cost.forward_passes`.
        evaluations: as `Cost.evaluations`.
        milliseconds: that an update takes.
        variance_times_milliseconds: the product.
    """

    experiment: str
    layers: int
    epoch: int
    estimator: str
    seed: int
    batch: int
    relative_bias: float
    relative_bias_error: float
    relative_bias_bound: float
    bias_sureness: float
    variance: float
    variance_by_layer: dict[str, float]
    variance_within_batch_by_layer: dict[str, float]
    draws: int
    forward_passes: float
    evaluations: int
    milliseconds: float
    variance_times_milliseconds: float


class Subject(NamedTuple):
    """Whose row it is: the first fields of it."""

    experiment: str
    layers: int
    epoch: int
    estimator: str
    seed: int
    batch: int


def compared(subject: Subject, drawn: Drawn, reference: Drawn, cost: Cost, milliseconds: float) -> Compared:
    """Returns relative bias and variances, beside what they cost.

    Args:
        subject: whose row it is.
        drawn: of the estimator.
        reference: of an unbiased one, with draws of its own, whose mean stands for the true gradient.
        cost: of an estimate.
        milliseconds: that an update takes.
    """
    variance = _mean(drawn.variance)
    by_layer = {name: _mean(layer) for name, layer in drawn.variance.items()}
    within_batch = {name: float(value) for name, value in drawn.within_batch.items()}
    bias = relative_bias(drawn, reference)
    time = milliseconds, variance * milliseconds
    return Compared(*subject, *bias, variance, by_layer, within_batch, drawn.draws, *cost, *time)


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
    of_truth = _products(truth)
    length = _mean_over_pairs(of_truth)
    if length <= 0:  # too few draws to see the true gradient through its noise, which is then all there is
        length = float(np.mean(of_truth))
    error = float(np.sqrt((count - 1) / count * np.sum((without - np.mean(without)) ** 2)))
    # An estimator without noise is known no better than the floats that its draws are.
    error = max(error, length * float(np.finfo(np.float32).eps) ** 2)
    length **= 0.5
    around, bound = max(squared, error) ** 0.5, (max(squared, 0.0) + ONE_SIDED * error) ** 0.5
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

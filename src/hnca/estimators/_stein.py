"""Functions of a layer's units whose expectation is 0, made of any function: discrete Stein operators.

The Gibbs sampler that draws one unit again leaves the distribution of a layer of independent units as it is. So what it
adds, on average over a unit, to a function `h` has the expectation 0: `sum_i E[h(x with unit i drawn again)] - h(x)`.
Here `h` is a function of a projection of the point alone, `<slope, x - mean>`, and so it can be had for all points that
differ from the layer's in one unit at the price of arithmetic.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.estimators._downstream import over_logits
from hnca.units import Bernoulli, Layer

Function = Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]


class Neighbours(NamedTuple):
    """A layer's points, and those that differ in one unit, as they are seen through a projection.

    Attributes:
        here: the projection of the layer's points, `[*batch]`.
        there: of the points with one unit changed, in the shape of the logits: a Bernoulli unit to its other value, a
            categorical one to every category.
        point: the layer's points.
        score: less their mean.
        is_binary: whether the units are Bernoulli units.
    """

    here: Float[Array, "*batch"]
    there: Float[Array, "*logits"]
    point: Float[Array, "*logits"]
    score: Float[Array, "*logits"]
    is_binary: bool


def neighbours_of(
    layer: Layer,
    logits: Float[Array, "*logits"],
    point: Float[Array, "*logits"],
    slope: Float[Array, "*logits"],
    axes: int,
) -> Neighbours:
    """Returns the points of a layer and their neighbours.

    Args:
        layer: Bernoulli or categorical.
        logits: of the layer.
        point: where its units are, discrete.
        slope: what they are projected on; must not depend on the point.
        axes: how many batch axes there are.
    """
    is_binary = isinstance(layer, Bernoulli)
    score = point - (jax.nn.sigmoid(logits) if is_binary else jax.nn.softmax(logits))
    here = jnp.sum(slope * score, axis=tuple(range(axes, logits.ndim)))
    to_upper = 1 - 2 * point if is_binary else 1
    taken = 0 if is_binary else jnp.sum(slope * point, axis=-1, keepdims=True)
    return Neighbours(here, over_logits(here, logits) + slope * to_upper - taken, point, score, is_binary)


def stein_value(around: Neighbours, here: Float[Array, "*batch"], there: Float[Array, "*logits"]) -> Array:
    """Returns the operator's value of a function, `[*batch]`.

    Args:
        around: see there.
        here: the function at `around.here`.
        there: the function at `around.there`.
    """
    # The probability of what a unit would change to: of a Bernoulli unit the score's size.
    likely = jnp.abs(around.score) if around.is_binary else around.point - around.score
    axes = tuple(range(here.ndim, there.ndim))
    return jnp.sum(likely * (there - over_logits(here, there)), axis=axes)


def stein_credit(around: Neighbours, here: Float[Array, "*batch"], there: Float[Array, "*logits"]) -> Array:
    """Returns the operator's value of the function times the layer's score, for every logit, in their shape."""
    whole = around.score * over_logits(stein_value(around, here, there), there)
    if around.is_binary:
        return whole - around.score * there
    likely = around.point - around.score
    return whole + likely * there - around.point * jnp.sum(likely * there, axis=-1, keepdims=True)

"""Times the message kernel alone, beside a matrix product of the same shape and the direct log-sigmoid form."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca.experiments.timing.updates import interleaved_medians
from hnca.messages.bernoulli_pair import bernoulli_message
from hnca.messages.product import product_message

SHAPES = ((50, 200, 784), (50, 200, 200), (256, 512, 512))
"""Batch, parents, children: those of the paper's auto-encoders, and one larger."""

_Arguments = tuple[Array, float, Array, Array, Array]


class MessageTime(NamedTuple):
    """A row of `hnca bench --messages`.

    Attributes:
        batch_size: examples.
        parents: units of the parent layer.
        children: units of the child layer.
        way: to the message, or what it is held against.
        milliseconds: the median.
        ratio_to_matrix_product: of that to a matrix product's of the same shape.
    """

    batch_size: int
    parents: int
    children: int
    way: str
    milliseconds: float
    ratio_to_matrix_product: float


def time_messages(repeats: int) -> list[MessageTime]:
    """Returns one row a shape and way, all ways of a shape timed in turns."""
    rows = []
    for batch, parents, children in SHAPES:
        usual = _arguments(batch, parents, children, scale=0.1)
        heavy = _arguments(batch, parents, children, scale=5.0)
        calls = {
            "matrix product": partial(jax.jit(_matrix_product), usual[0], usual[3]),
            "message": partial(_of_span(bernoulli_message), *usual),
            "message, heavy weights": partial(_of_span(bernoulli_message), *heavy),
            "message, pure JAX": partial(_of_span(product_message), *usual),
            "direct form": partial(_of_span(_direct), *usual),
        }
        medians = interleaved_medians(calls, repeats)
        for name, seconds in medians.items():
            ratio = round(seconds / medians["matrix product"], 2)
            rows.append(MessageTime(batch, parents, children, name, round(1e3 * seconds, 4), ratio))
    return rows


def _of_span(message: Callable[..., Array]) -> Callable[..., Array]:
    """Returns a message compiled for units of one span, which is no array."""
    return jax.jit(message, static_argnums=1)


def _arguments(batch: int, parents: int, children: int, scale: float) -> _Arguments:
    keys = jax.random.split(jax.random.key(0), 4)
    weight = scale * jax.random.normal(keys[0], (parents, children))
    logits = jax.random.normal(keys[1], (batch, children))
    state = jax.random.bernoulli(keys[2], 0.5, (batch, children)).astype(jnp.float32)
    above = jax.random.bernoulli(keys[3], 0.5, (batch, parents)).astype(jnp.float32)
    return weight, 1.0, logits, state, above


def _matrix_product(weight: Array, state: Array) -> Float[Array, "batch parents"]:
    return state @ weight.T


def _direct(weight: Array, span: float, logits: Array, state: Array, above: Array) -> Float[Array, "batch parents"]:
    """The log-ratio of every (example, parent, child) by softplus."""
    delta = span * (1 - 2 * above)[:, :, None] * weight[None]
    here = logits[:, None]
    grown = jax.nn.softplus(here + delta) - jax.nn.softplus(here)
    return (1 - 2 * above) * jnp.sum(state[:, None] * delta - grown, axis=-1)

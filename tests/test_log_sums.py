"""Logs of sums of exponentials, whatever axes of 1 they keep, lose or get, and what was subtracted before."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracle import exact_gradient

import hnca

SHAPES = [(3,), (2, 3), (2, 1), (2, 1, 3), (1, 3, 3)]
SHIFTS = {
    "number": lambda x: 1.0,
    "kept maximum": lambda x: x.max(-1, keepdims=True),
    "maximum": lambda x: x.max(-1)[..., None],
    "broadcast": lambda x: jnp.broadcast_to(x[..., 0][..., None], x.shape),
}
MADE = {
    "as it is": lambda total: total,
    "an axis before": lambda total: total[None],
    "an axis behind": lambda total: total[..., None],
    "more rows": lambda total: jnp.broadcast_to(total, (2, *total.shape)),
    "flat": lambda total: total.reshape(-1),
    "squeezed": jnp.squeeze,
}
AFTERWARDS = {
    "linear": lambda log, x: 2 * log - 1,
    "squared": lambda log, x: log * log,
    "beside": lambda log, x: x * log if log.shape == (*x.shape[:-1], 1) else log * x.reshape(-1)[0],
}


def loss_of(shape, shift, made, afterwards, *, keepdims):
    def loss(draws, p, key, _):
        drawn = draws.bernoulli(key, p["logits"])
        x = (drawn @ p["weights"] + p["bias"]).reshape(-1)[: np.prod(shape)].reshape(shape)
        total = jnp.sum(jnp.exp(x - shift(x)), axis=-1, keepdims=keepdims)
        found = afterwards(jnp.log(made(total)), x)
        return found.reshape(-1) @ jnp.sin(jnp.arange(1.0, 1 + found.size))

    return loss


LAST = itertools.cycle(itertools.product(AFTERWARDS, (False, True, True, False, True)))
WAYS = [(*way, *last) for way, last in zip(itertools.product(SHAPES, SHIFTS, MADE), LAST, strict=False)]
WRONG_ONCE = [
    ((2, 3), "number", "an axis before", "linear", False),
    ((2, 3), "kept maximum", "more rows", "linear", False),
    ((2, 1, 3), "kept maximum", "an axis behind", "linear", False),
    ((2, 1), "maximum", "as it is", "squared", True),
]


def require_exact(shape, shift, made, afterwards, keepdims):
    numbers = np.random.default_rng(0)
    sizes = {"logits": (2,), "weights": (2, 18), "bias": (18,)}
    p = {name: jnp.asarray(numbers.normal(size=size)) for name, size in sizes.items()}
    loss = loss_of(shape, SHIFTS[shift], MADE[made], AFTERWARDS[afterwards], keepdims=keepdims)
    truth = exact_gradient(loss, p, None)
    found = hnca.check_unbiased(lambda *arguments: loss(hnca, *arguments, None), (p, jax.random.key(0)))
    for name in p:
        np.testing.assert_allclose(found.gradient[name], truth[name], atol=1e-10)


@pytest.mark.parametrize("way", WRONG_ONCE, ids=str)
@pytest.mark.sweep
def test_each_weight_goes_to_its_own_sum(way, float64, quick_compilation):
    require_exact(*way)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.sweep
def test_so_it_does_in_every_way(way, float64, quick_compilation):
    require_exact(*way)

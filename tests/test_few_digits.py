"""Conversions that leave a few digits are steps like any other, and no noise beside which a sum stays linear."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import some_thorough

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation", "float64")
WEIGHTS = (1.3, -2.1, 0.77)
STATES = np.asarray(list(itertools.product((0.0, 1.0), repeat=3)))
SHORT = [jnp.float8_e4m3fn, jnp.float8_e5m2, jnp.float4_e2m1fn]


def through(dtype):
    return lambda y: y.astype(dtype).astype(y.dtype)


ROUNDED = {
    **{np.dtype(dtype).name: through(dtype) for dtype in SHORT},
    "reduce_precision": lambda y: jax.lax.reduce_precision(y, 4, 1),
    "a narrow range": lambda y: jax.lax.reduce_precision(y / 90, 4, 8) * 90,
    "in a scan": lambda y: jax.lax.scan(lambda c, _: (through(SHORT[0])(c + y), None), 0 * y, None, 2)[0],
    "in a checkpoint": jax.checkpoint(through(SHORT[0])),
    "a count": lambda y: through(SHORT[0])(jnp.round(100 * y).astype(jnp.int32)).astype(y.dtype),
    "times a number": lambda y: 3.0 * through(SHORT[0])(y) + y,
}


def loss(way, h):
    return ROUNDED[way](h @ jnp.asarray(WEIGHTS))


@pytest.mark.parametrize(
    "way", some_thorough(ROUNDED, ["float8_e5m2", "float4_e2m1fn", "in a checkpoint", "times a number"])
)
def test_the_gradient_is_that_of_what_is_rounded(way):
    logits = jnp.asarray([0.3, -0.6, 0.8])

    def chance(logits, h):
        on = jax.nn.sigmoid(logits)
        return jnp.prod(jnp.where(h > 0, on, 1 - on))

    states = jnp.asarray(STATES)
    chances = jax.vmap(chance, in_axes=(None, 0))
    exact = jax.grad(lambda a: chances(a, states) @ jnp.stack([loss(way, h) for h in states]))(logits)
    gradient = jax.jit(hnca.grad(lambda a, h: loss(way, hnca.bernoulli(None, a, given=h))))
    found = sum(chance(logits, h) * gradient(logits, h) for h in states)
    np.testing.assert_allclose(found, exact, atol=1e-12)
    linear = jax.grad(lambda a: chances(a, states) @ (states @ jnp.asarray(WEIGHTS)))(logits)
    assert jnp.max(jnp.abs(exact - linear)) > 0.003  # else nothing would be tested


def test_a_rounding_that_leaves_its_digits_is_none():
    """JAX puts such ones between the passes of a checkpoint; a wide layer would be evaluated anew for every unit."""

    def told(digits):
        def function(weights, key):
            return jnp.sum(jax.lax.reduce_precision(hnca.bernoulli(key, weights[0]) @ weights, 11, digits))

        return str(hnca.explain(function)(jnp.ones((3, 3)), jax.random.key(0)))

    assert "not linear" in told(3)
    assert "not linear" not in told(52)


def test_logits_may_come_through_eight_bits():
    def function(logits, key):
        first, second = jax.random.split(key)
        h = hnca.bernoulli(first, logits)
        return hnca.bernoulli(second, through(SHORT[0])(h @ jnp.asarray(WEIGHTS)), name="y")

    hnca.check_unbiased(function, (jnp.asarray([0.3, -0.6, 0.8]), jax.random.key(0)))

"""Draws under plain JAX, and what a program cannot have in it: each mistake is told, with the user's line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.programs import primitives

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY = jax.random.key(0)
MISTAKES = {
    "one key": (lambda w: jnp.sum(hnca.bernoulli(KEY, w) * hnca.bernoulli(KEY, w)), "use one key"),
    "cond": (lambda w: jax.lax.cond(w[0] > 0, lambda: hnca.bernoulli(KEY, w)[0], lambda: 0.0), "draw unconditionally"),
    "vector": (lambda w: hnca.bernoulli(KEY, w), r"shape \(3,\) and dtype float32; expected one float"),
    "no draw": (lambda w: jnp.sum(w), "no draws in it"),
    "shared": (lambda w: jnp.sum(jax.vmap(lambda a: hnca.bernoulli(KEY, a))(w)), "uses one key for everything"),
    "too long": (
        lambda w: jnp.sum(
            jax.lax.scan(lambda c, k: (hnca.bernoulli(k, c), None), w, jax.random.split(KEY, 1000))[0],
        ),
        "expected at most 512 draws",
    ),
    "no key": (lambda w: jnp.sum(hnca.bernoulli(None, w)), "expected a key"),
    "feedback": (
        lambda w: jnp.sum(hnca.bernoulli(jax.random.key(1), hnca.observed(hnca.bernoulli(KEY, w)))),
        "only what the function returns may depend on it",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told(name):
    function, says = MISTAKES[name]
    with pytest.raises(ValueError, match=says):
        hnca.grad(function)(jnp.ones(3))


def test_plain_grad_says_what_to_use():
    with pytest.raises(ValueError, match=r"Use hnca\.value_and_grad"):
        jax.grad(lambda w: jnp.sum(hnca.bernoulli(KEY, w)))(jnp.ones(3))
    stopped = jax.grad(lambda w: jnp.sum(w * hnca.bernoulli(KEY, jax.lax.stop_gradient(w))))(jnp.ones(3))
    np.testing.assert_array_equal(stopped, hnca.bernoulli(KEY, jnp.ones(3)))


def test_a_batch_needs_a_key_an_example():
    with pytest.raises(ValueError, match="uses one key for the whole batch"):
        hnca.grad(lambda w, k, x: jnp.sum(hnca.bernoulli(k, w * x)), in_axes=(None, None, 0))(
            jnp.ones(3), KEY, jnp.ones((2, 3))
        )


def test_draws_of_jax_random_are_reported():
    def loss(w, k):
        k1, k2 = jax.random.split(k)
        return jnp.sum(hnca.bernoulli(k1, w) * jax.random.bernoulli(k2, jax.nn.sigmoid(w)).astype(w.dtype))

    with pytest.warns(UserWarning, match=r"draw at .*test_program_mistakes\.py.* depends on parameters"):
        hnca.grad(loss)(jnp.ones(3), KEY)


def test_draws_are_ordinary_under_jax():
    logits = jnp.asarray([[0.3, -1.0], [2.0, 0.0]])
    keys = jax.random.split(KEY, 2)
    mapped = jax.vmap(hnca.bernoulli)(keys, logits)
    np.testing.assert_array_equal(mapped, jnp.stack([hnca.bernoulli(k, a) for k, a in zip(keys, logits, strict=True)]))
    np.testing.assert_array_equal(jax.jit(hnca.bernoulli)(KEY, logits), hnca.bernoulli(KEY, logits))
    assert hnca.categorical(KEY, jnp.zeros((5, 4))).shape == (5,)
    assert hnca.bernoulli(KEY, jnp.zeros(())).shape == ()
    assert hnca.categorical(KEY, jnp.zeros(4)).shape == ()


def test_the_primitives_relied_on_are_there():
    from jax.extend.core import primitives as known

    names = {getattr(known, name).name for name in dir(known) if name.endswith("_p")}
    optional = {
        "random_wrap",
        "random_unwrap",
        "add_any",
        "expand_dims",
        "copy_p",
        "rng_bit_generator",
        "core_call",
        "random_bits",
    }
    missing = primitives.RELIED_ON - names - optional
    assert not missing

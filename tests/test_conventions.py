"""What is often meant otherwise: probabilities for logits, a value that all examples share, a flag of JAX's."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

KEY = jax.random.key(0)
LOGITS = jnp.array([[0.2, -0.4, 0.7], [1.0, 0.1, -0.5]])
pytestmark = pytest.mark.usefixtures("quick_compilation")

PROBABILITIES = {
    "a sigmoid": (lambda p: hnca.bernoulli(KEY, jax.nn.sigmoid(p)), "sigmoid"),
    "a bounded one": (lambda p: hnca.bernoulli(KEY, jnp.clip(jax.nn.sigmoid(p), 1e-3, 1 - 1e-3)), "sigmoid"),
    "of one unit": (lambda p: hnca.bernoulli(KEY, jax.nn.sigmoid(p)[0, 1]), "sigmoid"),
    "a softmax": (lambda p: hnca.categorical(KEY, jax.nn.softmax(p)), "softmax"),
    "a softmax by hand": (
        lambda p: hnca.categorical(KEY, jnp.exp(p) / jnp.sum(jnp.exp(p), -1, keepdims=True)),
        "softmax",
    ),
    "in steps": (
        lambda p: jax.lax.scan(lambda c, k: (c, hnca.bernoulli(k, jax.nn.sigmoid(c))), p, jax.random.split(KEY, 2))[1],
        "sigmoid",
    ),
}


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_for_logits_are_told(name, unroll):
    draw, kind = PROBABILITIES[name]
    with pytest.warns(UserWarning, match=rf"test_conventions\.py.* what a {kind} returns, probabilities"):
        jax.eval_shape(hnca.grad(lambda p: jnp.sum(draw(p).astype(float)), unroll=unroll), LOGITS)


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: hnca.categorical(KEY, jax.nn.log_softmax(p)),
        lambda p: hnca.categorical(KEY, jnp.log(jax.nn.softmax(p))),
        lambda p: hnca.bernoulli(KEY, 2.0 * jax.nn.sigmoid(p) - 1.0),
        lambda p: hnca.bernoulli(KEY, jax.nn.sigmoid(p) @ jnp.ones((3, 2))),
        lambda p: hnca.categorical(KEY, p / jnp.sum(p)),
    ],
)
def test_other_logits_are_not(draw):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jax.eval_shape(hnca.grad(lambda p: jnp.sum(draw(p).astype(float))), LOGITS)


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE(hnca.RunningMean()), hnca.NVIL()], ids=str)
@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.sweep
def test_what_all_examples_are_given_is_given_each(estimator, unroll):
    if isinstance(estimator, hnca.NVIL) and not unroll:
        return  # which knows no loops
    xs, rewards = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3), jnp.arange(4.0)

    def loss(w, x, action, code, reward):
        h = hnca.bernoulli(None, x @ w, values=(-1, 1), given=code)
        z = hnca.categorical(None, jnp.stack([jnp.sum(h), x[0] * w[0, 0], 0.5 * w[1, 1]]), given=action)
        return -hnca.observed(reward + 0.0 * z.astype(reward.dtype))

    w, action, code = 0.1 * jnp.ones((3, 2)), jnp.asarray(2), jnp.array([-1.0, 1.0])
    if isinstance(estimator, hnca.HNCA) and not unroll:
        return  # which asks again what is observed once
    one = {"estimator": estimator, "stateful": True, "unroll": unroll}
    shared = hnca.value_and_grad(loss, in_axes=(None, 0, None, None, 0), **one)(w, xs, action, code, rewards)
    each = jnp.broadcast_to(action, 4), jnp.broadcast_to(code, (4, 2))
    apart = hnca.value_and_grad(loss, in_axes=(None, 0, 0, 0, 0), **one)(w, xs, *each, rewards)
    np.testing.assert_array_equal(shared[1], apart[1])
    assert np.any(np.asarray(shared[1]) != 0)


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.REINFORCE()], ids=str)
@pytest.mark.sweep
def test_masks_are_no_alarm_to_jax_debug_nans(estimator):
    """Without `jax.jit` too, where every number in between is looked at."""

    def loss(w, key):
        first, second, third = jax.random.split(key, 3)
        h = hnca.bernoulli(first, w["c"])
        by_draw = jnp.where(jnp.array([1.0, 0.0, 0.0]) * h > 0, -jnp.inf, w["b"])
        fixed = jnp.where(jnp.array([True, False, False]), -jnp.inf, w["b"])
        return w["r"][hnca.categorical(second, by_draw)] * h + w["r"][hnca.categorical(third, fixed)]

    w = {"c": jnp.asarray(0.5), "b": jnp.arange(3.0), "r": jnp.arange(3.0)}
    with jax.debug_nans(True):
        for seed in range(3):
            gradient = hnca.grad(loss, estimator=estimator)(w, jax.random.key(seed))
    assert all(jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(gradient))


def test_probabilities_in_every_step_are_told_once():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        jax.eval_shape(hnca.grad(lambda p: jnp.sum(PROBABILITIES["in steps"][0](p))), LOGITS)
    assert len(told) == 1


def of_logits(choose):
    """A later draw's row is chosen by two draws."""

    def loss(w, key):
        keys = jax.random.split(key, 3)
        a, b = hnca.categorical(keys[0], w[0]), hnca.categorical(keys[1], w[1])
        return jnp.arange(3.0)[hnca.categorical(keys[2], w[choose(a, b)])] ** 2

    return loss


def of_units(value):
    """The result is of two units of 0 or 1."""

    def loss(w, key):
        first, second = jax.random.split(key)
        return value(hnca.bernoulli(first, w[0, 0]), hnca.bernoulli(second, w[0, 1]), w)

    return loss


def of_categories(value):
    """The result is of two categories, each of which is taken as it was drawn while the other is relaxed."""

    def loss(w, key):
        first, second = jax.random.split(key)
        return value(hnca.categorical(first, w[0]), hnca.categorical(second, w[1]), w)

    return loss


JUMPS = {
    "their sum": of_logits(lambda a, b: a + b),
    "its remainder": of_logits(lambda a, b: (a + b) % 3),
    "whether they are alike": of_logits(lambda a, b: jnp.where(a == b, 0, 1)),
    "both": of_units(lambda x, y, w: jnp.where((x > 0.5) & (y > 0.5), w[0, 0], 0.0)),
    "a row and a column": of_units(lambda x, y, w: w[x.astype(int), y.astype(int)]),
}
NO_JUMPS = {
    "one chooses": of_units(lambda x, y, w: jnp.where(x > 0.5, y * w[0, 0], y + 1.0)),
    "alike": of_categories(lambda a, b, w: (a == b).astype(float) * w[0, 0]),
    "an element": of_categories(lambda a, b, w: w[a, b]),
    "a product": of_units(lambda x, y, w: x * y * w[0, 0]),
}


def told_of(loss, estimator):
    both = hnca.value_and_grad(loss, estimator=estimator, stateful=True)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        jax.eval_shape(lambda key: both(jnp.ones((5, 3)), key, estimator_key=key), KEY)
    return [str(each.message) for each in told]


@pytest.mark.parametrize("estimator", [hnca.REBAR(), hnca.RELAX()], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("name", JUMPS)
@pytest.mark.sweep
def test_what_two_draws_decide_together_jumps(name, estimator):
    (message,) = told_of(JUMPS[name], estimator)
    assert "may jump there" in message


@pytest.mark.parametrize("name", NO_JUMPS)
@pytest.mark.sweep
def test_what_one_decides_does_not(name):
    assert told_of(NO_JUMPS[name], hnca.REBAR()) == []

"""What `hnca.log_weight` says of a bound of several samples: draws from the prior, and a `log_q` that is stopped."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca


def of_prior(p, key, weight):
    z = hnca.bernoulli(key, p["pi"])
    log_likelihood = hnca.log_prob(p["w"][0] + p["w"][1] * z, jnp.asarray(1.0))
    return weight(log_likelihood, lambda: hnca.log_prob(p["pi"], z))


EXPECTATION_MAXIMISATION = partial(of_prior, weight=lambda log_likelihood, _: hnca.log_weight(log_likelihood, None))
TWICE = {
    "one value": partial(of_prior, weight=lambda log_p, prior: (lambda q: hnca.log_weight(log_p + q, q))(prior())),
    "computed twice": partial(of_prior, weight=lambda log_p, prior: hnca.log_weight(log_p + prior(), prior())),
}


def test_of_draws_from_the_prior_wake_sleep_is_expectation_maximisation(float64):
    """Against the sum over both passes' draws, of all pairs of values: each by its probability."""
    p = {"pi": jnp.asarray(0.4), "w": jnp.array([0.8, -1.1])}
    z = jnp.array([0.0, 1.0])
    chance = jax.nn.sigmoid(jnp.where(z == 1, p["pi"], -p["pi"]))

    def moved(p):
        log_likelihood = jax.nn.log_sigmoid(p["w"][0] + p["w"][1] * z)
        joint = log_likelihood + jax.nn.log_sigmoid(jnp.where(z == 1, p["pi"], -p["pi"]))
        pairs = jnp.stack(jnp.broadcast_arrays(log_likelihood[:, None], log_likelihood[None]))
        shares = jax.lax.stop_gradient(jax.nn.softmax(pairs, axis=0) * (chance[:, None] * chance[None])[None])
        return jnp.sum(shares * jnp.stack(jnp.broadcast_arrays(joint[:, None], joint[None])))

    count, estimator = 20_000, hnca.ReweightedWakeSleep(2)
    gradient = hnca.grad(EXPECTATION_MAXIMISATION, estimator=estimator)
    keys = jax.random.split(jax.random.key(3), (2, count))
    found = jax.jit(jax.vmap(lambda k, e: gradient(p, k, estimator_key=e)))(*keys)
    for name, truth in jax.grad(moved)(p).items():
        deviation = jnp.std(found[name], axis=0) / count**0.5
        np.testing.assert_array_less(jnp.abs(jnp.mean(found[name], axis=0) - truth), 4.5 * deviation)


@pytest.mark.parametrize("name", TWICE)
def test_a_prior_that_counts_twice_is_told(name):
    p, key = {"pi": jnp.asarray(0.4), "w": jnp.array([0.8, -1.1])}, jax.random.key(0)
    with pytest.warns(UserWarning, match=r"log_q is a term of log_p as well.*hnca\.log_weight\(log_likelihood, None\)"):
        hnca.grad(TWICE[name], estimator=hnca.ReweightedWakeSleep(2))(p, key, estimator_key=key)
    # Of a bound it makes no difference.
    by_vimco = [
        hnca.value_and_grad(loss, estimator=hnca.VIMCO(2))(p, key, estimator_key=key)
        for loss in (TWICE[name], EXPECTATION_MAXIMISATION)
    ]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), *by_vimco)


@pytest.mark.parametrize("estimator", [hnca.VIMCO(2), hnca.LocalDisARM(2), hnca.ReweightedWakeSleep(2)], ids=str)
def test_a_stopped_log_q_is_told(estimator):
    def loss(p, key, stopped):
        z = hnca.bernoulli(key, p)
        log_q = stopped(lambda: jnp.sum(hnca.log_prob(p, z)), z)
        return hnca.log_weight(jnp.sum(z * 1.5) - jnp.sum(jnp.abs(p)), log_q)

    ways = {
        "none": lambda log_q, z: log_q(),
        "the whole": lambda log_q, z: jax.lax.stop_gradient(log_q()),
        "a part": lambda log_q, z: log_q() * 0.5 + 0.5 * jax.lax.stop_gradient(log_q()),
    }
    key = jax.random.key(0)
    for name, way in ways.items():
        gradient = hnca.grad(partial(loss, stopped=way), estimator=estimator)
        if name == "none":
            gradient(jnp.zeros(2), key, estimator_key=key)
            continue
        with pytest.warns(UserWarning, match=r"stop_gradient at .*test_log_weights.* stops the derivative of log_q"):
            gradient(jnp.zeros(2), key, estimator_key=key)

    def of_logits(p, key, shape):
        z = hnca.bernoulli(key, p.reshape(shape))
        stopped = jax.lax.stop_gradient(p.reshape(shape))
        return hnca.log_weight(jnp.sum(z * 1.5), jnp.sum(hnca.log_prob(stopped, z)))

    for shape in ((2,), (1, 2)):
        gradient = hnca.grad(partial(of_logits, shape=shape), estimator=estimator)
        with pytest.warns(UserWarning, match="stops the derivative of log_q"):
            gradient(jnp.zeros(2), key, estimator_key=key)


def test_stopped_logits_that_draws_have_too_are_no_slip():
    def loss(p, key):
        logits, key = jax.lax.stop_gradient(p), key
        z = hnca.bernoulli(key, logits)
        return hnca.log_weight(jnp.sum(z * p), jnp.sum(hnca.log_prob(logits, z)))

    def of_categories(p, key):
        logits = jnp.stack([p, -p])
        z = hnca.categorical(key, logits)
        log_q = jnp.take_along_axis(jax.nn.log_softmax(logits), z[:, None], axis=-1)
        return hnca.log_weight(jnp.sum(z.astype(float) * p), jnp.sum(log_q))

    key = jax.random.key(0)
    for each in (loss, of_categories):
        hnca.grad(each, estimator=hnca.VIMCO(2))(jnp.zeros(2), key, estimator_key=key)

"""Bounds of several samples in programs: the value is that of a described network, and noise is warned of."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import hnca

KEY = jax.random.key(0)


@pytest.mark.parametrize("estimator", [hnca.VIMCO(3), hnca.ReweightedWakeSleep(3)], ids=["VIMCO", "RWS"])
def test_bounds_take_a_program_that_says_what_its_weight_is(estimator, float64):
    p, x = programs.parameters(), programs.example()

    def loss(p, key, x):
        logits = x @ p["in"]
        h = hnca.bernoulli(key, logits)
        log_p = jnp.sum(hnca.log_prob(h @ p["back"], x)) + jnp.sum(hnca.log_prob(p["bias"], h))
        return hnca.log_weight(log_p, jnp.sum(hnca.log_prob(logits, h)))

    k1, k2 = jax.random.key(1), jax.random.key(2)
    value, gradient = jax.jit(hnca.value_and_grad(loss, estimator=estimator))(p, k1, x, estimator_key=k2)
    expected_value, expected = bound_of_described_network(estimator, p, k1, k2, x)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    for name, truth in expected.items():
        np.testing.assert_allclose(gradient[name], truth, atol=1e-10)
    with pytest.raises(ValueError, match=r"hnca\.log_weight"):
        hnca.grad(partial(programs.elbo_plain, hnca), estimator=estimator)(p, k1, x, estimator_key=k2)
    incomplete = lambda p: hnca.log_weight(jnp.sum(hnca.bernoulli(k1, p)), jnp.sum(p))  # noqa: E731
    with pytest.raises(ValueError, match="log_q does not depend on draw 'bernoulli_0'"):
        hnca.grad(incomplete, estimator=estimator)(p["bias"], estimator_key=k2)


def with_noise(noise):
    def loss(p, key):
        k1, k2 = jax.random.split(key)
        z = hnca.bernoulli(k2, p[1])
        log_p = -0.5 * (p[0] + noise(k1) - 2.0 - z) ** 2
        return hnca.log_weight(log_p, hnca.log_prob(p[1], z))

    return loss


def steps_of_noise(key):
    return jax.lax.scan(lambda x, k: (x + jax.random.normal(k), None), 0.0, jax.random.split(key, 3))[0]


@pytest.mark.parametrize("estimator", [hnca.VIMCO(3), hnca.LocalDisARM(3), hnca.ReweightedWakeSleep(3)], ids=str)
def test_noise_that_all_passes_of_a_bound_share_is_warned_of(estimator):
    def of(noise, estimator):
        key = jax.random.key(0)
        return hnca.grad(with_noise(noise), estimator=estimator)(jnp.zeros(2), key, estimator_key=key)

    for noise in (jax.random.normal, jax.checkpoint(jax.random.normal), steps_of_noise):
        with pytest.warns(UserWarning, match=r"the noise of jax.random at .*test_program_bounds.py:\d+.* share it"):
            of(noise, estimator)
    of(lambda key: 1.0, estimator)
    of(jax.random.normal, hnca.MultiSampleLeaveOneOut(3))


def test_it_is_the_bound_given_the_noise():
    """By the sum over all passes' values, at one noise: what is said of the bound, and its value."""
    key, p = jax.random.key(0), jnp.array([0.3, -0.2])
    noise = jax.random.normal(jax.random.split(key)[0])
    with pytest.warns(UserWarning, match="all passes share it"):
        found = jax.vmap(
            lambda k: hnca.value_and_grad(with_noise(jax.random.normal), estimator=hnca.VIMCO(2))(
                p, key, estimator_key=k
            )[0]
        )(jax.random.split(jax.random.key(1), 4))
    weight = [-0.5 * (p[0] + noise - 2.0 - z) ** 2 - jax.nn.log_sigmoid(jnp.where(z, 1, -1) * p[1]) for z in (0.0, 1.0)]
    bounds = [jnp.logaddexp(a, b) - jnp.log(2.0) for a in weight for b in weight]
    assert all(min(abs(float(value - bound)) for bound in bounds) < 1e-5 for value in found)


def bound_of_described_network(estimator, p, key, estimator_key, x):
    def dense(parent, weight):
        shell = hnca.Dense(parent, *weight.shape, key=KEY, use_bias=False)
        return eqx.tree_at(lambda layer: layer.weights, shell, (weight,))

    prior = eqx.tree_at(lambda free: free.bias, hnca.Free(3), p["bias"])
    encoder = hnca.Network({"h": hnca.Bernoulli(dense("x", p["in"]))}, {"x": 4})
    decoder = hnca.Network({"h": hnca.Bernoulli(prior), "x": hnca.Bernoulli(dense("h", p["back"]))})
    taken = hnca.bernoulli(key, x @ p["in"])
    trace = encoder.evaluate({"x": x, "h": taken}, ())
    objective = hnca.ELBO(encoder, decoder, hnca.SampledEntropy)
    found = estimator(encoder, objective, trace, key=estimator_key)
    of_decoder = found.objective_gradient.decoder.layers
    return jnp.mean(found.value), {
        "in": found.gradient.layers["h"].conditional.weights[0],
        "back": of_decoder["x"].conditional.weights[0],
        "bias": of_decoder["h"].conditional.bias,
    }

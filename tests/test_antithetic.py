"""Several antithetic samples: their joint law, by the volumes of the simplex, and what comes of it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SIGNS

import hnca
from hnca.estimators.arms import unlikely_given_first

pytestmark = pytest.mark.usefixtures("float64")
LOGITS = np.array([-4.0, -1.2, -0.3, 0.0, 0.2, 1.5, 5.0])


def law(logit, samples):
    """Returns the probability of every pattern of states, by inclusion and exclusion of `P(all of A > c)`."""
    r = 1 / (1 + np.exp(abs(logit)))
    c = 1 - r ** (1 / (samples - 1))
    found = {}
    for pattern in itertools.product((0, 1), repeat=samples):
        size, free = sum(pattern), samples - sum(pattern)
        every = range(free + 1)
        at_least = [max(0.0, 1 - (size + more) * c) ** (samples - 1) for more in every]
        count = [len(list(itertools.combinations(range(free), more))) for more in every]
        probability = sum((-1) ** more * n * p for more, n, p in zip(every, count, at_least, strict=True))
        found[tuple(1 - s for s in pattern) if logit > 0 else pattern] = probability
    return found


@pytest.mark.parametrize("samples", [2, 3, 4, 6])
def test_every_law_has_the_units_own_distribution_and_the_joint_probability_that_is_said(samples):
    for logit in LOGITS:
        p, patterns = 1 / (1 + np.exp(-logit)), law(logit, samples)
        assert min(patterns.values()) > -1e-12
        np.testing.assert_allclose(sum(patterns.values()), 1, rtol=1e-9)
        for k in range(samples):
            np.testing.assert_allclose(sum(q for s, q in patterns.items() if s[k]), p, rtol=1e-8)
        differ = sum(q for s, q in patterns.items() if s[0] > s[-1])
        scale = hnca.ARMS(samples).scale(jnp.asarray(logit))
        np.testing.assert_allclose(scale, p * (1 - p) / differ, rtol=1e-8)
        assert scale <= 1 + 1e-12


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_the_expectation_over_all_samples_is_the_gradient(samples):
    """Of two units and any function, all tuples enumerated; the credit is by the estimator's scale."""
    logits = np.array([-0.7, 1.1])
    p, scale = 1 / (1 + np.exp(-logits)), np.asarray(hnca.ARMS(samples).scale(jnp.asarray(logits)))
    value = np.array([[100.0, 101.0], [98.5, 103.0]])
    expected = np.zeros(2)
    for (one, p1), (two, p2) in itertools.product(law(logits[0], samples).items(), law(logits[1], samples).items()):
        f, states = np.array([value[a, b] for a, b in zip(one, two, strict=True)]), np.array([one, two]).T
        centred = (f - f.mean()) * samples / (samples - 1)
        expected += p1 * p2 * scale * np.mean(centred[:, None] * (states - p), axis=0)
    slopes = value[1] - value[0], value[:, 1] - value[:, 0]
    exact = [p[0] * (1 - p[0]) * (slopes[0] @ [1 - p[1], p[1]]), p[1] * (1 - p[1]) * (slopes[1] @ [1 - p[0], p[0]])]
    np.testing.assert_allclose(expected, exact, rtol=1e-10)


@pytest.mark.parametrize("samples", [2, 3, 4])
@pytest.mark.sweep
def test_samples_are_drawn_as_their_law_says(samples):
    """z-tests of the share of every pattern, level 1e-6 (Bonferroni), from the first sample on."""
    count, logits = 60_000, jnp.asarray(LOGITS)
    layer, wide = hnca.Bernoulli(hnca.Free(7), SIGNS), jnp.broadcast_to(logits, (count, 7))
    first = layer.sample(jax.random.key(0), wide)
    keys = jax.random.split(jax.random.key(1), samples - 1)
    others = hnca.ARMS(samples).others(layer, keys, wide, first)
    states = np.asarray((jnp.concatenate([first[None], others]) + 1) / 2, int)
    for unit, logit in enumerate(LOGITS):
        for pattern, probability in law(logit, samples).items():
            share = np.mean(np.all(states[:, :, unit] == np.array(pattern)[:, None], axis=0))
            error = (max(probability, 0) * (1 - probability) / count) ** 0.5 + 1e-9
            assert abs(share - probability) / error < 5.7


def test_of_two_samples_it_is_disarm():
    """The same second sample of the same key, where the unlikelier value is the upper one, and the same weight."""
    logits = -jnp.abs(jax.random.normal(jax.random.key(0), (500, 7)))
    layer = hnca.Bernoulli(hnca.Free(7), SIGNS)
    first = layer.sample(jax.random.key(1), logits)
    keys = jax.random.split(jax.random.key(2), 1)
    (second,) = hnca.ARMS(2).others(layer, keys, logits, first)
    pair = hnca.DisARM().second(layer, jax.random.split(keys[0])[0], logits, first)
    np.testing.assert_array_equal(second, pair.values)
    for signed in (logits, -logits):
        weight = hnca.ARMS(2).scale(signed) * (first - second) / 4
        np.testing.assert_allclose(weight, (first - second) / 4 * jax.nn.sigmoid(jnp.abs(signed)), rtol=1e-12)
    np.testing.assert_allclose(hnca.ARMS(2).scale(logits) * (first - second) / 4, pair.weight, rtol=1e-12)


def test_extreme_logits_stay_finite():
    logits = jnp.array([-jnp.inf, -1e4, -90.0, -1e-7, 0.0, 90.0, jnp.inf], jnp.float32)
    for samples in (2, 3, 8):
        scale = hnca.ARMS(samples).scale(logits)
        assert bool(jnp.all((scale > 0.3) & (scale <= 1 + 1e-6)))
        for state in (0.0, 1.0):
            states = jnp.where(jnp.isinf(logits), (logits > 0).astype(jnp.float32), state)
            found = unlikely_given_first(jax.random.key(0), logits, states, samples)
            assert bool(jnp.all((found == 0) | (found == 1)))
            assert not bool(jnp.any(found[:, jnp.isinf(logits)]))


@pytest.mark.sweep
def test_more_samples_vary_less():
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(5), SIGNS)})
    objective = hnca.Objective(hnca.Function(lambda x: jnp.sin(jnp.sum(x) + x[0]), "code"))

    def variance(estimator):
        def draw(key):
            trace_key, own_key = jax.random.split(key)
            return estimator(network, objective, network.sample(trace_key, {}, ()), key=own_key).credits["code"]

        return float(jnp.sum(jnp.var(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), 10_000)), axis=0)))

    two, six, independent = (variance(e) for e in (hnca.ARMS(2), hnca.ARMS(6), hnca.MultiSampleLeaveOneOut(6)))
    assert six < 0.5 * two
    assert six < 0.95 * independent

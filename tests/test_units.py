"""Unit families: probabilities that add up, samples that follow them, credits that follow the paper's formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("float64")


def families():
    free = hnca.Free(6)
    return {
        "0 and 1": hnca.Bernoulli(free),
        "-1 and 1": hnca.Bernoulli(free, (-1, 1)),
        "0.5 and 3": hnca.Bernoulli(free, (0.5, 3)),
        "categorical": hnca.Categorical(free, categories=3),
        "embedded": hnca.Categorical(free, 3, jnp.array([[1.0, 0.5, -2.0, 3.0], [0.0, 1.0, 1.5, 2.0], 4 * [0.3]])),
    }


FAMILIES = ["0 and 1", "-1 and 1", "0.5 and 3", "categorical", "embedded"]


def logits_of(layer, batch=()):
    raw = 2 * jax.random.normal(jax.random.key(0), (*batch, 6))
    return raw.reshape(*batch, layer.units, -1) if isinstance(layer, hnca.Categorical) else raw


def all_values(layer):
    """Every alternative of all units at once, `[alternatives, units]`."""
    alternatives = layer.alternative_values(jnp.float64)
    return jnp.broadcast_to(alternatives[:, None], (layer.alternatives, layer.units))


@pytest.mark.parametrize("name", FAMILIES)
class TestFamily:
    def test_probabilities_add_up_and_make_mean_and_entropy(self, name):
        layer = families()[name]
        logits, values = logits_of(layer), all_values(layer)
        log_probs = jax.vmap(lambda v: layer.log_prob(logits, v))(values)
        np.testing.assert_allclose(jnp.sum(jnp.exp(log_probs), axis=0), 1, rtol=1e-12)
        np.testing.assert_allclose(layer.entropy(logits), -jnp.sum(jnp.exp(log_probs) * log_probs, axis=0), rtol=1e-10)
        weights = jnp.repeat(jnp.exp(log_probs), layer.features // layer.units, axis=-1)
        encoded = jax.vmap(lambda v: layer.encode(v, jnp.float64))(values)
        np.testing.assert_allclose(layer.mean(logits), jnp.sum(weights * encoded, axis=0), rtol=1e-10)

    def test_score_is_the_derivative_of_the_log_probability(self, name):
        layer = families()[name]
        logits = logits_of(layer)
        values = layer.sample(jax.random.key(1), logits)
        derivative = jax.grad(lambda a: jnp.sum(layer.log_prob(a, values)))(logits)
        np.testing.assert_allclose(layer.score(logits, values), derivative, rtol=1e-10, atol=1e-12)

    def test_samples_follow_the_mean(self, name):
        """A z-test of each feature's mean at level 1e-6 over all of them (Bonferroni)."""
        layer = families()[name]
        count = 40_000
        logits = jnp.broadcast_to(logits_of(layer), (count, *logits_of(layer).shape))
        encoded = layer.encode(layer.sample(jax.random.key(2), logits), jnp.float64)
        deviation = (jnp.mean(encoded, axis=0) - layer.mean(logits[0])) / (jnp.std(encoded, axis=0) / count**0.5)
        assert float(jnp.max(jnp.abs(deviation))) < 5.2

    def test_contrast_compares_with_what_was_taken(self, name):
        layer = families()[name]
        logits = logits_of(layer)
        values = layer.sample(jax.random.key(1), logits)
        alternatives = jax.random.normal(jax.random.key(3), (layer.units, layer.alternatives))
        contrast = layer.contrast(alternatives, values)
        if isinstance(layer, hnca.Bernoulli):
            np.testing.assert_allclose(contrast, alternatives[:, 1] - alternatives[:, 0])
        else:
            np.testing.assert_allclose(jnp.take_along_axis(contrast, values[:, None], axis=-1), 0, atol=1e-15)
            np.testing.assert_allclose(contrast[:, 1] - contrast[:, 0], alternatives[:, 1] - alternatives[:, 0])


def test_bernoulli_credit_is_equations_3_and_5():
    layer = families()["-1 and 1"]
    logits, values = logits_of(layer), jnp.array([-1.0, 1.0, 1.0, -1.0, -1.0, 1.0])
    message, contrast = (jax.random.normal(jax.random.key(k), (6,)) for k in (4, 5))
    value = jnp.asarray(-3.7)
    p, q = jax.nn.sigmoid(logits), jax.nn.sigmoid(logits + message)
    upper = jnp.where(values > 0, value, value + contrast)
    lower = upper - contrast
    credit = layer.credit(logits, values, message, value, contrast)
    np.testing.assert_allclose(credit, (1 - p) * q * upper - p * (1 - q) * lower, rtol=1e-12)
    np.testing.assert_allclose(layer.credit(logits, values, message, value, None), (q - p) * value, rtol=1e-12)
    np.testing.assert_allclose(layer.credit(logits, values, None, value, contrast), p * (1 - p) * contrast, rtol=1e-12)


def test_categorical_credit_is_the_design_formula():
    layer = families()["categorical"]
    logits, values = logits_of(layer), jnp.array([2, 0], jnp.int32)
    message, alternatives = (jax.random.normal(jax.random.key(k), (2, 3)) for k in (4, 5))
    p, q = jax.nn.softmax(logits), jax.nn.softmax(logits + message)
    taken = jnp.take_along_axis(alternatives, values[:, None], axis=-1)
    for unit in range(2):
        value = taken[unit, 0]
        credit = layer.credit(logits, values, message, value, layer.contrast(alternatives, values))[unit]
        f = alternatives[unit]
        np.testing.assert_allclose(credit, q[unit] * f - p[unit] * jnp.sum(q[unit] * f), rtol=1e-10)


@pytest.mark.parametrize("values", [(1, 0), (1, 1), (0, float("inf")), (0,), (0, 1, 2), (float("nan"), 1)])
def test_values_that_are_no_pair_are_refused(values):
    with pytest.raises(ValueError, match=r"Bernoulli: values=.*expected two finite numbers"):
        hnca.Bernoulli(hnca.Free(2), values)


def test_categories_must_divide_the_outputs():
    with pytest.raises(ValueError, match=r"Categorical: categories=4 does not divide the conditional's 6 outputs"):
        hnca.Categorical(hnca.Free(6), categories=4)
    with pytest.raises(ValueError, match=r"Categorical: categories=1; expected a whole number of at least 2"):
        hnca.Categorical(hnca.Free(6), categories=1)


def test_an_embedding_must_have_a_row_for_every_category():
    with pytest.raises(ValueError, match=r"Categorical: embedding of shape \(2, 4\); expected \(3, size\)"):
        hnca.Categorical(hnca.Free(6), 3, jnp.zeros((2, 4)))

"""Samples without replacement: by all orders in which they may be drawn."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import SIGNS, randomised

import hnca
from hnca.estimators._without_replacement import (
    joint_log_probs,
    others_without_replacement,
    place_of,
    shares_of,
    values_at,
)

pytestmark = pytest.mark.usefixtures("float64")
LOGITS = np.array([1.5, -0.3, 0.0, 3.0, -2.0])
VALUES = np.array([10.0, 11.5, 9.0, 10.2, 14.0])


def in_this_order(p, order):
    """Returns the probability of drawing these, one after the other."""
    found, rest = 1.0, 1.0
    for place in order:
        found, rest = found * p[place] / rest, rest - p[place]
    return found


@pytest.mark.parametrize("samples", [2, 3, 4, 5])
@pytest.mark.sweep
def test_the_expectation_over_all_orders_is_the_gradient(samples):
    p = np.exp(LOGITS) / np.exp(LOGITS).sum()
    expected, total = np.zeros(5), 0.0
    for order in itertools.permutations(range(5), samples):
        share = shares_of(jnp.log(jnp.asarray(p)), jnp.asarray(order))
        np.testing.assert_allclose([jnp.sum(share.weight), *jnp.sum(share.baseline, axis=1)], 1, rtol=1e-10)
        f = VALUES[list(order)]
        worth = np.asarray(share.weight) * (f - np.asarray(share.baseline) @ f)
        probability = in_this_order(p, order)
        expected += probability * worth @ (np.eye(5)[list(order)] - p)
        total += probability
    np.testing.assert_allclose(total, 1, rtol=1e-10)
    np.testing.assert_allclose(expected, p * (VALUES - p @ VALUES), rtol=1e-10)


def test_a_weight_is_the_probability_of_having_been_drawn_first():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum()
    for members in itertools.combinations(range(5), 3):
        share = shares_of(jnp.log(jnp.asarray(p)), jnp.asarray(members))
        orders = {order: in_this_order(p, order) for order in itertools.permutations(members)}
        of_set = sum(orders.values())
        first = [sum(q for order, q in orders.items() if order[0] == m) / of_set for m in members]
        np.testing.assert_allclose(share.weight, first, rtol=1e-10)


def test_samples_are_drawn_without_replacement():
    """z-tests of the share of every order, level 1e-6 (Bonferroni), given the first."""
    count, p = 60_000, np.exp(LOGITS) / np.exp(LOGITS).sum()
    table = jnp.broadcast_to(jnp.log(jnp.asarray(p)), (count, 5))
    first = jax.random.categorical(jax.random.key(0), table).astype(jnp.int32)
    others = others_without_replacement(jax.random.key(1), table, first, 2)
    drawn = np.asarray(25 * first + 5 * others[0] + others[1])
    for order in itertools.permutations(range(5), 3):
        probability = in_this_order(p, order)
        share = np.mean(drawn == order[0] * 25 + order[1] * 5 + order[2])
        assert abs(share - probability) < 5.6 * (probability * (1 - probability) / count) ** 0.5


def large(logits, samples, function, batch=1, dtype=jnp.float64):
    """Returns the estimator's credits of one categorical unit with these logits."""
    free = eqx.tree_at(lambda f: f.bias, hnca.Free(len(logits)), jnp.asarray(logits, dtype))
    network = hnca.Network({"word": hnca.Categorical(free)})
    objective = hnca.Objective(hnca.Function(function, "word"))
    trace = network.sample(jax.random.key(0), {}, (batch,))
    found = eqx.filter_jit(hnca.UnorderedSet(samples))(network, objective, trace, key=jax.random.key(1))
    return found.credits["word"][:, 0], trace["word"][:, 0]


def test_of_all_values_it_is_the_gradient():
    credits, _ = large(LOGITS, 8, lambda word: word @ jnp.asarray(VALUES), batch=3)
    p = np.exp(LOGITS) / np.exp(LOGITS).sum()
    np.testing.assert_allclose(credits, np.broadcast_to(p * (VALUES - p @ VALUES), (3, 5)), rtol=1e-10)


@pytest.mark.parametrize("peak", [0.0, 30.0, 200.0])
@pytest.mark.sweep
def test_a_large_vocabulary_in_float32_is_as_in_float64(peak):
    """Of even probabilities and of one category that nearly all of it has, or that has all."""
    logits = np.random.default_rng(0).normal(size=5000)
    logits[7] += peak
    logits[11] = -np.inf
    worth = np.sin(np.arange(5000.0))
    share, expected = (
        shares_of(jax.nn.log_softmax(jnp.asarray(logits, dtype))[None], jnp.array([[7], [3], [2], [900]], jnp.int32))
        for dtype in (jnp.float32, jnp.float64)
    )
    np.testing.assert_allclose(share.weight, expected.weight, rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(jnp.sum(share.baseline, axis=1), 1, rtol=1e-3)
    credits, word = large(logits, 4, lambda word: word @ jnp.asarray(worth, word.dtype), batch=20, dtype=jnp.float32)
    assert credits.dtype == jnp.float32
    assert bool(jnp.all(jnp.isfinite(credits)))
    assert bool(jnp.all(credits[:, 11] == 0))
    assert bool(jnp.all(word == 7)) == (peak > 0)


def test_fewer_values_than_samples_that_can_be():
    """Two categories of five can be: they are drawn, and the others have no weight, whatever they would be worth."""
    logits = np.array([0.3, -np.inf, -np.inf, 1.0, -np.inf])
    credits, _ = large(logits, 4, lambda word: jnp.log(word @ jnp.array([2.0, 0.0, -1.0, 3.0, 0.0])), batch=4)
    p = np.exp(logits) / np.exp(logits).sum()
    slope = p[0] * p[3] * (np.log(2) - np.log(3))
    np.testing.assert_allclose(credits, np.broadcast_to([slope, 0, 0, -slope, 0], (4, 5)), rtol=1e-9, atol=1e-12)


FAMILIES = [(hnca.Bernoulli, {"values": SIGNS}), (hnca.Categorical, {"categories": 3})]


@pytest.mark.parametrize(("family", "options"), FAMILIES)
def test_places_and_values_are_inverse_and_the_table_is_the_log_probability(family, options):
    layer = family(hnca.Free(6), **options)
    network = randomised(hnca.Network({"code": layer}), jax.random.key(0))
    trace = network.sample(jax.random.key(1), {}, (50,))
    logits = trace.logits["code"]
    place = place_of(layer, trace["code"])
    np.testing.assert_array_equal(values_at(layer, place, logits), trace["code"])
    table = joint_log_probs(None, "code", layer, logits)
    np.testing.assert_allclose(jax.nn.logsumexp(table, axis=-1), 0, atol=1e-12)
    found = jnp.take_along_axis(table, place[:, None], axis=-1)[:, 0]
    np.testing.assert_allclose(found, network.log_prob(trace), rtol=1e-12)


def test_too_many_values_and_samples_are_refused():
    for samples in (1, 9):
        with pytest.raises(ValueError, match=f"UnorderedSet: samples={samples}; expected from 2 to 8"):
            hnca.UnorderedSet(samples)
    network = hnca.Network({"wide": hnca.Bernoulli(hnca.Free(17))})
    trace = network.sample(jax.random.key(0), {}, ())
    known = hnca.Function(jnp.sum, "wide")
    message = r"UnorderedSet: layer 'wide' of 17 units has 2\*\*17 joint values; .*use MultiSampleLeaveOneOut"
    with pytest.raises(ValueError, match=message):
        eqx.filter_eval_shape(hnca.UnorderedSet(), network, known, trace, key=jax.random.key(1))

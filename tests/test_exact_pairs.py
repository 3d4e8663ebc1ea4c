"""Estimators with a second sample: unbiased by enumeration of both, and drawn as they say by z-tests."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES, LOG_WEIGHT
from networks import NETWORKS, reward_of
from objectives import OBJECTIVES
from test_exact import largest_difference, shifted

import hnca
from hnca.estimators._stick_breaking import Pair, coupled_credit, sticks_of
from hnca.exact import gradient, joint_states
from hnca.objectives import roles

pytestmark = pytest.mark.usefixtures("float64")
BERNOULLI = ["1-layer auto-encoder", "2-layer auto-encoder", "3-layer auto-encoder"]
ANY = [*BERNOULLI, "scattered over branching", "scattered over dead end", "scattered over categorical hidden"]


class Law(NamedTuple):
    """How an estimator's second sample of a layer comes from the first, each of `(layer, logits, values, second)`.

    Attributes:
        weight: of the difference of the two values of the objective, in the shape of the logits.
        log_prob: of each unit's second value given the first.
    """

    weight: Callable
    log_prob: Callable


def score(layer, logits, values):
    return jax.grad(lambda a: jnp.sum(layer.log_prob(a, values)))(logits)


def table_of_pairs(logits):
    """Returns the probability of every pair of categories of one unit: stick by stick, until the pair parts."""
    order = jnp.argsort(-logits)
    p = jax.nn.softmax(logits)[order]
    count = p.size
    stick = [p[i] / jnp.sum(p[i:]) for i in range(count)]
    table, together = jnp.zeros((count, count)), 1.0
    for i in range(count):
        table = table.at[i, i].set(together * jnp.maximum(0, 2 * stick[i] - 1))
        apart = together * jnp.minimum(stick[i], 1 - stick[i])
        for k in range(i + 1, count):
            of_other = apart * p[k] / jnp.sum(p[i + 1 :])
            table = table.at[i, k].set(of_other).at[k, i].set(of_other)
        together *= jnp.maximum(0, 1 - 2 * stick[i])
    rank = jnp.argsort(order)
    return table[rank][:, rank]


def antithetic_weight(layer, logits, values, second):
    if isinstance(layer, hnca.Categorical):
        sticks = sticks_of(logits)
        first, other = (jnp.take_along_axis(sticks.rank, v[..., None], axis=-1) for v in (values, second))
        return coupled_credit(sticks, Pair(first, other, None))
    return (layer.state(values) - layer.state(second)) * jax.nn.sigmoid(jnp.abs(logits)) / 2


def antithetic_log_prob(layer, logits, values, second):
    """A pair can agree only on the likelier value, and differs from the other one for certain."""
    if isinstance(layer, hnca.Categorical):
        table = jnp.vectorize(table_of_pairs, signature="(c)->(c,c)")(logits)
        pair = jnp.take_along_axis(table, values[..., None, None], axis=-2)[..., 0, :]
        return jnp.log(jnp.take_along_axis(pair, second[..., None], axis=-1)[..., 0]) - layer.log_prob(logits, values)
    likely = (logits > 0) == (layer.state(values) > 0.5)
    differs = jnp.where(likely, jax.nn.sigmoid(-jnp.abs(logits)) / jax.nn.sigmoid(jnp.abs(logits)), 1.0)
    return jnp.log(jnp.where(values != second, differs, 1 - differs))


LAWS = {
    hnca.LeaveOneOut: Law(
        lambda layer, logits, values, second: (score(layer, logits, values) - score(layer, logits, second)) / 2,
        lambda layer, logits, values, second: layer.log_prob(logits, second),
    ),
    hnca.DisARM: Law(antithetic_weight, antithetic_log_prob),
}


def expected_gradient(law, network, objective, inputs):
    """Enumerates the first trajectory and, for each layer, every second one."""
    everything = jax.tree.map(jnp.asarray, joint_states(network))

    def of_first(trace):
        credits = {
            name: expected_credit(law, network, objective, inputs, trace, everything, name) for name in network.order
        }
        surrogate = jax.grad(lambda n: hnca.surrogate(n, objective, n.evaluate(trace.values, ()), credits))
        return surrogate(network)

    return hnca.exact.expectation(network, inputs, of_first)


def expected_credit(law, network, objective, inputs, trace, everything, name):
    """Returns the expectation of one layer's credit over the second trajectories, given the first."""
    layer = network.layers[name]
    reached = [i for role in roles(network, objective.components)[name] for i in role.members]
    after = [other for other in network.order if other != name and name in network.ancestors([other])]

    def of_second(values):
        kept = {n: trace[n] for n in network.order if n != name and n not in after}
        second = network.evaluate({**inputs, **values, **kept}, ())
        same = jnp.stack([jnp.all(values[n] == trace[n]) for n in kept] or [jnp.array(True)])
        log_prob = jnp.sum(law.log_prob(layer, trace.logits[name], trace[name], second[name]))
        log_prob += sum(jnp.sum(network.layers[n].log_prob(second.logits[n], second[n])) for n in after)
        difference = sum(
            (objective.components[i].value(network, trace) - objective.components[i].value(network, second))
            for i in reached
        )
        weight = law.weight(layer, trace.logits[name], trace[name], second[name])
        return jnp.where(jnp.all(same), jnp.exp(log_prob), 0.0) * weight * difference

    return jnp.sum(jax.vmap(of_second)(everything), axis=0)


PAIRS = [
    *((hnca.LeaveOneOut, name) for name in ANY if name != "scattered over categorical hidden"),
    *((hnca.DisARM, name) for name in ANY if name != "scattered over branching"),
]


@pytest.mark.parametrize(("estimator", "name"), PAIRS)
@pytest.mark.sweep
def test_expectation_over_both_samples_is_the_exact_gradient(estimator, name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    found = expected_gradient(LAWS[estimator], network, objective, inputs)
    assert largest_difference(found, gradient(network, objective, inputs)) < 1e-10


TWO_PASSES = [
    *itertools.product(
        (hnca.IndependentLeaveOneOut(), hnca.LeaveOneOutHNCA(2)), (*BERNOULLI, "scattered over dead end")
    ),
    (hnca.DoubleControlVariates(2, scale=1.5), "2-layer auto-encoder"),
    (hnca.DoubleControlVariates(2, scale=-0.7), "scattered over dead end"),
    (hnca.RODEO(2, hidden_units=2), "2-layer auto-encoder"),
    (hnca.RODEO(2, hidden_units=2), "scattered over dead end"),
]


@pytest.mark.parametrize(("estimator", "name"), TWO_PASSES)
@pytest.mark.sweep
def test_two_independent_passes_enumerated_give_the_exact_gradient(estimator, name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    every = jax.tree.map(jnp.asarray, joint_states(network))
    state = estimator.init(network, objective)
    if isinstance(estimator, hnca.RODEO):
        # Its functions begin as linear ones; an error in what they learn is to show.
        state = shifted(state)

    def of_pair(first, second):
        both = jax.tree.map(lambda *two: jnp.stack(two), {**inputs, **first}, {**inputs, **second})
        trace = network.evaluate(both, (2,))
        credits, _ = estimator.credit(network, objective, trace, None, state)
        probability = jnp.exp(jnp.sum(network.log_prob(trace)))
        found = jax.grad(lambda n: hnca.surrogate(n, objective, n.evaluate(both, (2,)), credits))(network)
        return jax.tree.map(lambda leaf: probability * leaf, found)

    def of_first(first):
        with_every_second = jax.vmap(lambda second: of_pair(first, second))(every)
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), with_every_second)

    found = jax.jit(lambda states: jax.lax.map(of_first, states))(every)
    found = jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), found)
    assert largest_difference(found, gradient(network, objective, inputs)) < 1e-10


@pytest.mark.parametrize(
    "name",
    ["1-layer auto-encoder", "2-layer auto-encoder", "scattered over categorical hidden"],
)
@pytest.mark.sweep
def test_the_exact_estimator_is_the_exact_gradient_and_value(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    batch = {key: jnp.stack([value, 1 - value]) for key, value in inputs.items()}
    estimate = eqx.filter_jit(hnca.Exact())(network, objective, network.sample(jax.random.key(1), batch, (2,)))
    examples = [{key: value[i] for key, value in batch.items()} for i in range(2)]
    exact = [gradient(network, objective, example) for example in examples]
    mean = jax.tree.map(lambda a, b: (a + b) / 2, *(eqx.filter(g, eqx.is_inexact_array) for g in exact))
    assert largest_difference(estimate.gradient, mean) < 1e-10
    for value, example in zip(estimate.value, examples, strict=True):
        np.testing.assert_allclose(value, hnca.exact.value(network, objective, example), rtol=1e-12)


SHOWN_ELSEWHERE = {
    *("DoubleControlVariates", "Exact", "HNCA with a first-order control", "MuProp", "REBAR", "RELAX", "RODEO"),
    *(name for name, case in ALL_CASES.items() if case.objective == LOG_WEIGHT),
}
"""Those whose unbiasedness has tests of its own, which say more: by enumeration, or before and after adaptation."""
DRAWN = [c.estimator for n, c in ALL_CASES.items() if c.draws and not c.biased and n not in SHOWN_ELSEWHERE]


@pytest.mark.parametrize("estimator", DRAWN, ids=repr)
@pytest.mark.sweep
def test_drawn_credits_have_the_exact_mean(estimator):
    """z-tests of every parameter of a two-layer auto-encoder, level 1e-6 over all of them (Bonferroni)."""
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    chosen, count = estimator, 40_000

    def draw(key):
        trace_key, pair_key = jax.random.split(key)
        return chosen(network, objective, network.sample(trace_key, inputs), key=pair_key).gradient

    drawn = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), count))
    for sample, exact in zip(
        jax.tree.leaves(drawn), jax.tree.leaves(gradient(network, objective, inputs)), strict=True
    ):
        deviation = (jnp.mean(sample, axis=0) - exact) / (jnp.std(sample, axis=0) / count**0.5 + 1e-12)
        assert float(jnp.max(jnp.abs(deviation))) < 5.6


@pytest.mark.parametrize("estimator", LAWS)
def test_pairs_are_drawn_as_their_law_says(estimator):
    """The weights are the law's, and so is the share of differing pairs: z-tests at level 1e-6 (Bonferroni)."""
    count, logits = 40_000, jnp.array([-3.0, -0.4, 0.0, 0.4, 3.0])
    layer = hnca.Bernoulli(hnca.Free(5), (-1, 1))
    for first in (-1.0, 1.0):
        values = jnp.full((count, 5), first)
        wide = jnp.broadcast_to(logits, (count, 5))
        second = estimator().second(layer, jax.random.key(2), wide, values)
        expected = jnp.exp(LAWS[estimator].log_prob(layer, wide, values, -values))[0]
        np.testing.assert_allclose(second.weight, LAWS[estimator].weight(layer, wide, values, second.values), 1e-12)
        share = jnp.mean((second.values != values).astype(jnp.float64), axis=0)
        error = jnp.sqrt(expected * (1 - expected) / count) + 1e-9
        assert float(jnp.max(jnp.abs(share - expected) / error)) < 5.4


@pytest.mark.parametrize("estimator", [type(estimator) for estimator in DRAWN])
def test_an_observed_reward_is_refused_and_others_are_named(estimator):
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match="observed once does not allow; use HNCA or REINFORCE"):
        estimator()(network, reward_of(trace), trace, key=jax.random.key(2))
    known = hnca.Function(lambda first: jnp.sum(first), "first")
    with pytest.raises(ValueError, match="key=None; expected a key"):
        estimator()(network, known, trace)


def test_several_antithetic_samples_are_for_bernoulli_layers():
    network, objective, inputs = OBJECTIVES["scattered over categorical hidden"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match="ARMS: is for Bernoulli layers, and not for Categorical"):
        hnca.ARMS()(network, objective, trace, key=jax.random.key(2))


FAR_APART = np.array([[-1, 0.3, 0.2, 2.9], [0.1, 0.2, 0, -0.3], [-np.inf, 1, -40, 0.5], [0, 90, -90, 1]])


@pytest.mark.parametrize("estimator", [hnca.DisARM, hnca.ARM])
@pytest.mark.sweep
def test_pairs_of_categories_are_drawn_as_their_law_says_and_credit_the_gradient(estimator):
    """z-tests at level 1e-6 (Bonferroni) of the shares of all pairs, and of the credits of any function's values."""
    count, logits = 100_000, jnp.asarray(FAR_APART)
    layer, function = hnca.Categorical(hnca.Free(16), 4), jnp.array([100.0, 101.5, 98.0, 100.2])
    wide = jnp.broadcast_to(logits, (count, 4, 4))
    values = layer.sample(jax.random.key(0), wide)
    second = estimator().second(layer, jax.random.key(1), wide, values)
    assert second.values.dtype == jnp.int32
    shares = jnp.mean(jax.nn.one_hot(4 * values + second.values, 16), axis=0).reshape(4, 4, 4)
    expected = jnp.stack([table_of_pairs(one) for one in jnp.maximum(logits, -300)])
    error = jnp.sqrt(expected * (1 - expected) / count) + 1e-9
    assert float(jnp.max(jnp.abs(shares - expected) / error)) < 5.8
    credits = second.weight * (function[values] - function[second.values])[..., None]
    exact = jax.vmap(jax.grad(lambda a: jax.nn.softmax(a) @ function))(jnp.maximum(logits, -1e4))
    error = jnp.std(credits, axis=0) / count**0.5 + 1e-9
    assert float(jnp.max(jnp.abs(jnp.mean(credits, axis=0) - exact) / error)) < 5.4
    assert jnp.all(credits[:, 2, 0] == 0)


def test_a_unit_of_two_categories_is_a_bernoulli_unit():
    logits = jnp.array([[-2.0], [0.0], [0.3], [4.0]])
    binary, two = hnca.Bernoulli(hnca.Free(1)), hnca.Categorical(hnca.Free(2))
    both = jnp.stack([jnp.zeros_like(logits), logits], axis=-1)
    for first in (0, 1):
        values = jnp.full((4, 1), first, jnp.int32)
        of_binary = LAWS[hnca.DisARM].weight(binary, logits, values.astype(float), (1 - values).astype(float))
        of_two = LAWS[hnca.DisARM].weight(two, both, values, 1 - values)
        np.testing.assert_allclose(of_two[..., 1], of_binary, rtol=1e-12)
        np.testing.assert_allclose(of_two[..., 0], -of_binary, rtol=1e-12)


def test_disarm_is_leave_one_out_or_better_near_one_half():
    """At p = 1/2 an antithetic pair always differs, an independent one half the time."""
    layer, logits, values = hnca.Bernoulli(hnca.Free(1)), jnp.zeros(1), jnp.ones(1)
    np.testing.assert_allclose(jnp.exp(LAWS[hnca.DisARM].log_prob(layer, logits, values, 1 - values)), 1.0)
    np.testing.assert_allclose(LAWS[hnca.DisARM].weight(layer, logits, values, 1 - values), 0.25)
    np.testing.assert_allclose(LAWS[hnca.LeaveOneOut].weight(layer, logits, values, 1 - values), 0.5)

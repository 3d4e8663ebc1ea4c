"""Coupled alternatives: exact by enumeration of traces, cells and what may follow, and drawn as the coupling says."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import randomised
from objectives import OBJECTIVES, wave
from test_exact import largest_difference

import hnca
from hnca.estimators import coupled_alternatives
from hnca.estimators._alternatives import cell_weights, credits_of_differences, difference_in_cell
from hnca.estimators._coupling import coupled_values
from hnca.estimators._downstream import downstream_members
from hnca.estimators.coupled_alternatives import _choose
from hnca.exact import expectation, gradient, joint_states

pytestmark = pytest.mark.usefixtures("float64")


def kernel(before, after):
    """Returns for one unit `[values, values]`, the probability of the second given the first."""
    kept = jnp.minimum(before, after) / jnp.where(before > 0, before, 1)
    gains = jnp.maximum(after - before, 0)
    gains = gains / jnp.where(jnp.sum(gains) > 0, jnp.sum(gains), 1)
    return jnp.diag(kept) + jnp.outer(1 - kept, gains)


def probabilities(layer, logits):
    if isinstance(layer, hnca.Categorical):
        return jax.nn.softmax(logits)
    return jnp.stack([jax.nn.sigmoid(-logits), jax.nn.sigmoid(logits)], axis=-1)


def probability_of(layer, before, after, first, second):
    """Returns the probability of what a layer takes under other logits, given what it took, all its units together."""
    tables = jax.vmap(kernel)(probabilities(layer, before), probabilities(layer, after))
    return jnp.prod(tables[jnp.arange(layer.units), layer.index(first), layer.index(second)])


def expected_credits(network, objective, trace, everything):
    """Returns what is expected given the trace: over all cells that may be chosen, and all that follows."""
    reached = downstream_members(network, objective)
    weights = cell_weights(network, trace, reached)

    def of_state(cell, state):
        chances = {}

        def redraw(name, logits):
            layer = network.layers[name]
            # One for what it took, where its logits are what they were.
            chances[name] = probability_of(layer, trace.logits[name], logits, trace[name], state[name])
            return state[name]

        difference = difference_in_cell(network, objective, trace, reached, cell, redraw)
        others = [jnp.all(state[name] == trace[name]).astype(float) for name in network.order if name not in chances]
        return jnp.prod(jnp.stack([*chances.values(), *others])) * difference

    def of_cell(cell):
        return jnp.sum(jax.vmap(lambda state: of_state(cell, state))(everything))

    found = jax.vmap(of_cell)(jnp.arange(weights.size))
    return credits_of_differences(network, trace, jnp.where(weights > 0, found, 0))


ENUMERATED = [
    *("1-layer auto-encoder", "2-layer auto-encoder", "3-layer auto-encoder", "scattered over dead end"),
    *("scattered over categorical hidden", "auto-encoder with sampled entropies"),
    pytest.param("scattered over embedded", marks=pytest.mark.thorough),
]


@pytest.mark.parametrize("name", ENUMERATED)
@pytest.mark.sweep
def test_expectation_over_cells_and_all_that_follows_is_the_exact_gradient(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    everything = jax.tree.map(jnp.asarray, joint_states(network))

    def of_trace(trace):
        credits = expected_credits(network, objective, trace, everything)
        return jax.grad(lambda n: hnca.surrogate(n, objective, n.evaluate(trace.values, ()), credits))(network)

    found = expectation(network, inputs, of_trace)
    assert largest_difference(found, gradient(network, objective, inputs)) < 1e-10


class EveryOffset:
    """Stands in for the one number from which cells are chosen: every stretch of it on which the choice is the same."""

    def __init__(self, monkeypatch, weights, count):
        self.offset = jnp.zeros(())
        monkeypatch.setattr(coupled_alternatives, "offsets", lambda _key, shape, like: jnp.full(shape, self.offset))
        ends = np.sort(np.concatenate([[0, 1], np.asarray(coupled_alternatives.ends_of(weights, count)) % 1]))
        self.middles, self.lengths = (ends[1:] + ends[:-1]) / 2, np.diff(ends)

    def mean(self, function):
        """Returns the mean of what the function returns."""

        def one(offset):
            self.offset = offset
            return function()

        each = jax.jit(lambda offsets: jax.lax.map(one, offsets))(jnp.asarray(self.middles))
        return jax.tree.map(lambda leaf: jnp.tensordot(self.lengths, leaf, 1), each)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_cell_is_chosen_as_often_as_it_is_corrected_for(count, monkeypatch):
    """Also where fewer than are chosen have any weight."""
    network = hnca.Network({"h": hnca.Bernoulli(hnca.Free(3))})
    trace = network.evaluate({"h": jnp.ones(3)}, ())
    for weights in ([0.0, 0.3, 0.01, 0.0, 2.0, 0.1], [0.0, 0.7, 0.0, 0.0, 0.0, 0.0]):
        weights = jnp.array(weights)
        offsets = EveryOffset(monkeypatch, weights, count)

        def counts(weights=weights):
            chosen, inverse = _choose(jax.random.key(0), trace, weights, count)
            return jnp.zeros(6).at[chosen].add(inverse)

        np.testing.assert_allclose(offsets.mean(counts), weights > 0, atol=1e-12)


def one_layer(key):
    """Binary and categorical units side by side, after which nothing is drawn."""
    k1, k2, k3 = jax.random.split(key, 3)
    layers = {
        "code": hnca.Bernoulli(hnca.Dense("x", 2, 2, key=k1), (-1, 1)),
        "choice": hnca.Categorical(hnca.Dense("x", 2, 6, key=k2), categories=3),
    }
    network = randomised(hnca.Network(layers, inputs={"x": 2}), k3)
    objective = hnca.Objective(hnca.Function(wave, ("code", "choice")), hnca.Entropy(network, "code"))
    return network, objective, network.sample(jax.random.key(3), {"x": jnp.array([1.0, -0.5])})


@pytest.mark.parametrize("count", [1, 3, 6])
@pytest.mark.sweep
def test_where_nothing_follows_the_mean_over_all_choices_is_the_credit_of_everything_evaluated(count, monkeypatch):
    """That is HNCA's, where nothing is mediated; of six alternatives in all, each choice is of everything."""
    network, objective, trace = one_layer(jax.random.key(0))
    weights = cell_weights(network, trace, downstream_members(network, objective))
    offsets, estimator = EveryOffset(monkeypatch, weights, count), hnca.CoupledAlternatives(count)
    key = jax.random.key(4)
    found = offsets.mean(lambda: estimator(network, objective, trace, key=key).credits)
    assert largest_difference(found, hnca.HNCA()(network, objective, trace).credits) < 1e-12


FAR_APART = np.array([[-1, 0.3, 0.2, 2.9], [0.1, 0.2, 0, -0.3], [-np.inf, 1, -40, 0.5], [0, 90, -90, 1]])


@pytest.mark.parametrize("family", ["binary", "categorical"])
@pytest.mark.sweep
def test_what_follows_is_drawn_as_the_coupling_says_and_has_its_own_distribution(family):
    """z-tests of the share of every pair of values, level 1e-6 over all of them (Bonferroni)."""
    count = 100_000
    if family == "binary":
        layer = hnca.Bernoulli(hnca.Free(5), (-1, 1))
        before, after = jnp.array([-3.0, -0.4, 0.0, 0.4, jnp.inf]), jnp.array([0.5, -0.4, -2.0, 3.0, 1.0])
    else:
        layer = hnca.Categorical(hnca.Free(16), 4)
        before, after = jnp.asarray(FAR_APART), jnp.asarray(FAR_APART[[1, 1, 3, 2]])
    wide = [jnp.broadcast_to(logits, (count, *logits.shape)) for logits in (before, after)]
    values = layer.sample(jax.random.key(0), wide[0])
    second = coupled_values(layer, jax.random.key(1), *wide, values)
    assert second.dtype == values.dtype
    n = layer.alternatives
    pairs = n * layer.index(values) + layer.index(second)
    shares = jnp.mean(jax.nn.one_hot(pairs, n * n, dtype=float), axis=0).reshape(-1, n, n)
    of_first, of_second = probabilities(layer, before), probabilities(layer, after)
    expected = of_first[..., None] * jax.vmap(kernel)(of_first, of_second)
    np.testing.assert_allclose(jnp.sum(expected, axis=-2), of_second, atol=1e-12)
    error = jnp.sqrt(expected * (1 - expected) / count) + 1e-9
    assert float(jnp.max(jnp.abs(shares - expected) / error)) < 5.6


@pytest.mark.parametrize("logits", [jnp.array([-80.0, -1.0, 0.0, 40.0]), jnp.array([-jnp.inf, jnp.inf, 0.3, -0.3])])
def test_nothing_parts_where_nothing_has_changed(logits):
    layer = hnca.Bernoulli(hnca.Free(4))
    wide = jnp.broadcast_to(logits, (100_000, 4))
    values = layer.sample(jax.random.key(0), wide)
    assert jnp.all(coupled_values(layer, jax.random.key(1), wide, wide, values) == values)


def with_biases(network, biases):
    for name, bias in biases.items():
        network = eqx.tree_at(lambda n, name=name: n.layers[name].conditional.bias, network, jnp.array(bias))
    return network


@pytest.mark.parametrize("count", [1, pytest.param(50, marks=pytest.mark.thorough)])
@pytest.mark.thorough
def test_what_cannot_happen_is_not_asked_for(count, monkeypatch):
    """A masked category and units that are certain, whose other values are worth infinitely much."""
    layers = {
        "certain": hnca.Bernoulli(hnca.Free(2)),
        "choice": hnca.Categorical(hnca.Free(3)),
        "useless": hnca.Bernoulli(hnca.Dense("choice", 3, 40, key=jax.random.key(0))),
    }
    biases = {"certain": [jnp.inf, -jnp.inf], "choice": [0.0, -jnp.inf, 0.4]}
    network = with_biases(hnca.Network(layers), biases)
    known = hnca.Function(
        lambda certain, choice: jnp.log(certain[0] - certain[1]) + choice[0] / (1 - choice[1]), ("certain", "choice")
    )
    trace = network.sample(jax.random.key(1), {}, (20,))
    credits = hnca.CoupledAlternatives(count)(network, known, trace, key=jax.random.key(2)).credits
    # One cell is left for every example, and so it is chosen.
    assert largest_difference(credits, hnca.HNCA()(network, known, trace).credits) < 1e-12
    assert jnp.all(credits["certain"] == 0)
    assert jnp.all(credits["useless"] == 0)


def test_where_everything_is_certain_credits_are_zero():
    network = with_biases(hnca.Network({"h": hnca.Bernoulli(hnca.Free(3))}), {"h": [jnp.inf, -jnp.inf, -900.0]})
    trace = network.sample(jax.random.key(0), {}, (4,))
    known = hnca.Function(lambda h: jnp.sum(1 / h[:1]), "h")
    credits = hnca.CoupledAlternatives()(network, known, trace, key=jax.random.key(2)).credits
    assert jnp.all(credits["h"] == 0)


def epidemic(rates, key):
    """Two people over three days: draws of categories, in a scan, of masked logits that are no affine function."""

    def day(state, key):
        ill = -jnp.exp(rates[0]) * (0.2 + jnp.mean(state == 1, dtype=rates.dtype))
        of_well = jnp.stack([ill, jnp.log(-jnp.expm1(ill)), -jnp.inf])
        of_ill = jnp.stack([-jnp.inf, rates[1], 0.0])
        state = hnca.categorical(key, jnp.stack([of_well, of_ill, jnp.array([-jnp.inf, -jnp.inf, 0.0])])[state])
        return state, jnp.sum(state == 1, dtype=rates.dtype)

    counts = jax.lax.scan(day, jnp.array([0, 1], jnp.int32), jax.random.split(key, 3))[1]
    return jnp.mean((counts - jnp.array([1.0, 2.0, 0.0])) ** 2)


@pytest.mark.thorough
def test_a_program_of_steps_has_the_exact_gradient():
    """z-tests of 20,000 batches of one, level 1e-6 over both rates (Bonferroni)."""
    rates, count = jnp.array([-0.5, 0.7]), 20_000
    estimator = hnca.CoupledAlternatives()

    def one(key):
        k1, k2 = jax.random.split(key)
        return hnca.grad(epidemic, estimator=estimator)(rates, k1, estimator_key=k2)

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), count))
    exact = hnca.check_unbiased(epidemic, (rates, jax.random.key(0))).gradient
    deviation = (jnp.mean(found, axis=0) - exact) / (jnp.std(found, axis=0) / count**0.5)
    assert float(jnp.max(jnp.abs(deviation))) < 5.1


@pytest.mark.parametrize("alternatives", [0, -1, True])
def test_mistakes_are_named(alternatives):
    with pytest.raises(ValueError, match=r"CoupledAlternatives: alternatives=.*; expected how many an example has"):
        hnca.CoupledAlternatives(alternatives)

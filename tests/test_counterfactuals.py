"""Some counterfactuals evaluated, the others guessed: by enumeration of what may be chosen, in float64."""

import math
from functools import partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
from networks import NETWORKS, SIGNS, randomised, reward_of
from objectives import OBJECTIVES, wave
from test_exact import largest_difference

import hnca
from hnca.estimators import _choice, _counterfactuals
from hnca.estimators._choice import choose, design_of, subsets
from hnca.estimators._counterfactuals import check_options
from hnca.exact import expectation, gradient
from hnca.objectives import as_objective

KEY = jax.random.key(7)


class EveryChoice:
    """Stands in for what is drawn: the subsets of all layers run through side by side, each as often as every other.

    What a layer is credited depends on its own choice alone, so that the mean over the runs is that over all choices.
    """

    def __init__(self, monkeypatch, designs):
        self.tables = {(of, size): np.array(list(combinations(range(of), size)), np.int32).T for of, size in designs}
        self.runs = math.lcm(*(table.shape[1] for table in self.tables.values()))
        self.run, self.asked = 0, set()
        monkeypatch.setattr(_choice, "subsets", self.subsets)
        monkeypatch.setattr(_counterfactuals, "preferred", lambda *_: None)

    def subsets(self, _key, of, size, batch_shape):
        self.asked.add((of, size))
        table = self.tables[of, size]
        chosen = jnp.asarray(table)[:, self.run % table.shape[1]]
        return jnp.broadcast_to(chosen.reshape(-1, *(1 for _ in batch_shape)), (size, *batch_shape))

    def mean(self, estimate):
        """Returns the mean of what `estimate()` returns, over all choices."""

        def one(run):
            self.run = run
            return estimate()

        each = jax.jit(lambda runs: jax.lax.map(one, runs))(jnp.arange(self.runs))
        assert self.asked, "nothing was chosen"
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), each)


def designs_of(network, most):
    designs = [design_of(layer, most, whole) for layer in network.layers.values() for whole in (False, True)]
    return {(design.candidates, design.picks) for design in designs}


def anything(state):
    """Returns a state of the same structure, its numbers drawn."""
    leaves, structure = jax.tree.flatten(state)
    keys = jax.random.split(jax.random.key(8), max(len(leaves), 1))
    drawn = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=False)]
    return jax.tree.unflatten(structure, drawn)


def setting(name, key=0):
    if name in OBJECTIVES:
        return OBJECTIVES[name](jax.random.key(key))
    network, inputs = NETWORKS[name](jax.random.key(key))
    return network, reward_of, inputs


# Functions and networks, of binary units and categories, directly and mediated: each once.
EXPENSIVE = [
    *("scattered over categorical hidden", "scattered over convolutional", "nonlinear"),
    *(pytest.param(name, marks=pytest.mark.thorough) for name in ("scattered over embedded", "categorical hidden")),
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", EXPENSIVE)
@pytest.mark.sweep
def test_expectation_over_traces_and_choices_is_the_exact_gradient(name, monkeypatch):
    """Whatever the guesses have learned: of all estimates the mean, of everything that is drawn."""
    network, objective, inputs = setting(name)
    estimator = hnca.HNCA(counterfactuals=1)

    def of_trace(trace):
        whole = as_objective(objective(trace) if name in NETWORKS else objective)
        state = anything(estimator.init(network, whole))
        choices = EveryChoice(monkeypatch, designs_of(network, 1))
        credits = choices.mean(lambda: estimator.attribute(network, whole, trace, key=KEY, state=state).credits)
        return jax.grad(lambda n: hnca.surrogate(n, whole, n.evaluate(trace.values, ()), credits))(network)

    found = expectation(network, inputs, of_trace)
    assert largest_difference(found, gradient(network, objective, inputs)) < 1e-10


def deep(batch=(2, 3)):
    """Bernoulli and categorical units, joined by a network, and credited directly, through it, and in both ways."""
    return jax.jit(partial(made, batch))()


def made(batch):
    k1, k2, k3, k4, k5 = jax.random.split(jax.random.key(0), 5)
    above = hnca.Dense(("code", "choice"), (3, 9), 3, key=k3), jnp.sin, hnca.Dense("previous", 3, 2, key=k4)
    layers = {
        "code": hnca.Bernoulli(hnca.Dense("x", 2, 3, key=k1), SIGNS),
        "choice": hnca.Categorical(hnca.Dense("x", 2, 9, key=k2), categories=3),
        "action": hnca.Categorical(hnca.Sequential(*above)),
    }
    network = randomised(hnca.Network(layers, inputs={"x": 2}), k5)
    objective = hnca.Objective(
        hnca.Weighted(hnca.Function(wave, ("code", "choice")), 0.7),
        hnca.Function(wave, ("choice", "action")),
        hnca.Entropy(network, "action"),
        hnca.SampledEntropy(network, "action"),
    )
    return network, objective, network.sample(jax.random.key(3), {"x": jnp.ones((*batch, 2))}, batch)


def assert_close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(
    ("some", "every"),
    [
        (
            hnca.HNCA(hnca.RunningMean(), counterfactuals=2, guess="slope", control=hnca.FirstOrder()),
            hnca.HNCA(hnca.RunningMean(), control=hnca.FirstOrder()),
        ),
        (hnca.HNCA(prune_children=False, counterfactuals=2), hnca.HNCA(prune_children=False)),
        (hnca.LeaveOneOutHNCA(2, counterfactuals=2), hnca.LeaveOneOutHNCA(2)),
    ],
)
@pytest.mark.thorough
def test_the_mean_over_all_pairs_is_the_credit_of_everything_evaluated(some, every, monkeypatch):
    """Two an example, at every trace of a batch of `[2, 3]`, and for each of several passes."""
    network, objective, trace = deep()
    state = anything(some.init(network, objective))
    choices = EveryChoice(monkeypatch, designs_of(network, 2))
    found = choices.mean(lambda: some(network, objective, trace, key=KEY, state=state).credits)
    assert choices.asked == {(3, 2), (3, 1)}
    state = state.baselines if hasattr(state, "baselines") else {} if isinstance(some, hnca.LeaveOneOutHNCA) else state
    expected = jax.jit(lambda t, s: every(network, objective, t, key=KEY, state=s).credits)(trace, state)
    assert_close(found, expected)


@pytest.mark.thorough
def test_where_all_are_evaluated_it_is_hnca_to_the_bit():
    """As many as there are, or nothing that needs an evaluation."""
    network, objective, trace = deep((3,))
    closed, elbo, inputs = setting("2-layer auto-encoder")
    plain = closed.sample(KEY, {k: jnp.broadcast_to(v, (3, *v.shape)) for k, v in inputs.items()})
    for setup, most in (((network, objective, trace), 6), ((closed, elbo, plain), 1)):
        estimators = [hnca.HNCA(hnca.RunningMean(), counterfactuals=m) for m in (most, None)]
        some, every = (jax.jit(lambda e=e, setup=setup: e.attribute(*setup))() for e in estimators)
        assert jax.tree.structure(some.state) == jax.tree.structure(every.state)
        for a, b in zip(jax.tree.leaves(some.credits), jax.tree.leaves(every.credits), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ["nonlinear", pytest.param("counts", marks=pytest.mark.thorough), "product_of_draws"])
@pytest.mark.sweep
def test_a_program_has_the_gradient_of_everything_evaluated(name, monkeypatch):
    """Also where evaluating everything would be too dear, so that it would be credited by the score."""
    arguments = programs.parameters(), KEY, programs.example()
    loss = partial(programs.PROGRAMS[name], hnca)
    expected = jax.jit(hnca.grad(loss))(*arguments)
    monkeypatch.setattr("hnca.programs.model.MAXIMUM_EVALUATIONS", 2)
    some = hnca.grad(loss, estimator=hnca.HNCA(counterfactuals=1))
    choices = EveryChoice(monkeypatch, {(3, 1), (4, 1), (2, 1)})
    assert_close(choices.mean(lambda: some(*arguments, estimator_key=KEY)), expected)
    assert "evaluated anew 1 times" in hnca.explain(loss, estimator=hnca.HNCA(counterfactuals=1))(*arguments)


@pytest.mark.thorough
def test_it_says_what_it_evaluates():
    """Against the points at which a function is seen to be evaluated, beside that of the trace."""
    network, _, trace = deep(())
    seen = set()

    def watched(code, choice):
        jax.debug.callback(lambda *values: seen.add(np.concatenate(values).tobytes()), code, choice)
        return jnp.sum(jnp.sin(code)) * jnp.sum(choice[::2])

    objective = hnca.Objective(hnca.Function(watched, ("code", "choice")))
    for estimator, others in ((hnca.HNCA(), 3 + 6), (hnca.HNCA(counterfactuals=2), 2 + 2)):
        seen.clear()
        jax.jit(lambda e=estimator: e.attribute(network, objective, trace, key=KEY).credits)()
        jax.effects_barrier()
        assert estimator.reevaluations(network, objective) == len(seen) - 1 == others
    assert hnca.LeaveOneOutHNCA(3, counterfactuals=2).reevaluations(network, objective) == 3 * 4
    assert hnca.HNCA(counterfactuals=2).reevaluations(*setting("2-layer auto-encoder")[:2]) == 0
    mediated = hnca.Reward("action", jnp.zeros(()))
    assert hnca.HNCA(counterfactuals=3).reevaluations(network, mediated) == 3 + 2
    assert hnca.HNCA().reevaluations(network, mediated) == 3 + 6


@pytest.mark.filterwarnings("ignore:hnca. the batch has no examples")
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.sweep
def test_credits_are_of_32_bits_and_the_state_keeps_its_structure(dtype):
    """Of examples alone, in batches and of none, so that it can be carried through a scan."""
    for batch in ((), (0,), (2, 3)):
        network, objective, trace = jax.eval_shape(lambda batch=batch: cast(deep(batch), dtype))
        if dtype != jnp.float32:
            objective = hnca.Objective(*objective.components[2:])  # the functions are of the default float
        estimator = hnca.HNCA(hnca.RunningMean(), counterfactuals=2)
        state = jax.eval_shape(estimator.init, network, objective)
        found = jax.eval_shape(partial(estimator, key=KEY), network, objective, trace, state=state)
        for name, credit in found.credits.items():
            assert (credit.shape, credit.dtype) == (trace.logits[name].shape, jnp.float32)
        assert found.state == state
        assert {leaf.dtype for leaf in jax.tree.leaves(state.guesses)} == {jnp.dtype("float32")}


def cast(tree, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, tree)


def test_subsets_are_all_equally_likely():
    """Of every size: chi-squared of the subsets of 5, level 1e-6 for each."""
    count = 20_000
    for size, limit in ((1, 33.4), (2, 45.1), (3, 45.1), (4, 33.4)):  # of 4, 9, 9 and 4 degrees of freedom
        draw = jax.jit(partial(subsets, of=5, size=size, batch_shape=(count,)))
        drawn = np.sort(np.asarray(draw(jax.random.key(size))).T, axis=1)
        kinds, seen = np.unique(drawn, axis=0, return_counts=True)
        assert len(kinds) == math.comb(5, size)
        assert np.all(np.diff(kinds, axis=1) > 0)
        expected = count / math.comb(5, size)
        assert np.sum((seen - expected) ** 2 / expected) < limit


def test_what_is_chosen_are_other_values():
    layer = hnca.Categorical(hnca.Free(12), categories=4)
    some = choose(design_of(layer, 5, whole=False), KEY, (7,))
    assert some.units.shape == some.steps.shape == (5, 7)
    assert some.inverse == 9 / 5
    assert (set(np.unique(some.units)), set(np.unique(some.steps))) == ({0, 1, 2}, {1, 2, 3})
    whole = choose(design_of(layer, 5, whole=True), KEY, (7,))
    assert whole.units.shape == (3, 7)
    assert whole.inverse == 3
    np.testing.assert_array_equal(np.sort(whole.steps, axis=0)[:, 0], [1, 2, 3])
    assert design_of(layer, 6, whole=True).evaluations == 6
    assert design_of(layer, 9, whole=False).is_exhaustive


@pytest.mark.parametrize("estimator", [hnca.HNCA, hnca.LeaveOneOutHNCA])
@pytest.mark.sweep
def test_mistakes_are_named(estimator):
    with pytest.raises(ValueError, match=rf"{estimator.__name__}: counterfactuals=0; expected how many"):
        estimator(counterfactuals=0)
    for wrong in (1.5, True, "all"):
        with pytest.raises(ValueError, match=rf"HNCA: counterfactuals={wrong!r}; expected how many .* an int of at"):
            check_options("HNCA", wrong, "slope", "uniform")
    with pytest.raises(ValueError, match=r"HNCA: guess='best'; expected one of \('none', 'slope', 'curvature'\)"):
        check_options("HNCA", 1, "best", "uniform")
    with pytest.raises(ValueError, match=r"HNCA: choice='best'; expected one of \('uniform', 'learned'\)"):
        check_options("HNCA", 1, "slope", "best")
    network, objective, trace = deep()
    with pytest.raises(ValueError, match=r"key=None; expected a key, from which (the counterfactuals|further passes)"):
        jax.eval_shape(estimator(counterfactuals=1), network, objective, trace)

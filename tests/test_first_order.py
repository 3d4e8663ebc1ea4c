"""HNCA's first-order control variate: exact by enumeration, what it takes out, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
from networks import BITS, NETWORKS, SIGNS, reward_of
from objectives import OBJECTIVES
from test_exact import largest_difference, shifted
from test_exact_mixtures import mixed

import hnca
from hnca.estimators import first_order
from hnca.exact import gradient, moments
from hnca.objectives import as_objective

pytestmark = pytest.mark.usefixtures("float64")
CONTROLLED = hnca.HNCA(hnca.RunningMean(0.9), control=hnca.FirstOrder())
# Skip connections and two children, categories on either side, embeddings, networks between, depth: each once.
STRUCTURES = [
    *(f"scattered over {name}" for name in ("branching", "embedded", "nonlinear")),
    "3-layer auto-encoder",
    "auto-encoder with sampled entropies",
]


def expected(estimator, network, objective, inputs):
    state = shifted(estimator.init(network, objective))
    return moments(estimator, network, objective, inputs, state).mean


def credits_of(estimator, network, objective, trace):
    return jax.jit(lambda trace: estimator.attribute(network, as_objective(objective), trace).credits)(trace)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.sweep
def test_expectation_is_the_exact_gradient(name):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    exact = gradient(network, objective, inputs)
    assert largest_difference(expected(CONTROLLED, network, objective, inputs), exact) < 1e-10


def test_so_it_is_of_the_ablations():
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    method = hnca.HNCA(prune_children=False, prune_upstream=False, control=hnca.FirstOrder())
    found = moments(method, network, objective, inputs).mean
    assert largest_difference(found, gradient(network, objective, inputs)) < 1e-10


@pytest.mark.parametrize("name", ["elbo_two_layers", "skip_connections"])
@pytest.mark.sweep
def test_a_program_s_expected_gradient_is_exact(name):
    def loss(p, key, x):
        return programs.PROGRAMS[name](hnca, p, key, x)

    arguments = programs.parameters(), jax.random.key(0), programs.example()
    assert hnca.check_unbiased(loss, arguments, estimator=CONTROLLED).error < 1e-10


@pytest.mark.parametrize("left_out", ["LinearTerm", "MeanTerm"])
def test_what_is_not_put_back_is_missed(left_out, monkeypatch):
    """Either of the two terms that make up for what was taken out."""
    whole = hnca.FirstOrder.corrected
    kind = getattr(first_order, left_out)

    def without_last(*arguments):
        terms = list(whole(*arguments).components)
        last = max((place for place, term in enumerate(terms) if isinstance(term, kind)), default=None)
        return hnca.Objective(*(term for place, term in enumerate(terms) if place != last))

    monkeypatch.setattr(hnca.FirstOrder, "corrected", without_last)
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    exact = gradient(network, objective, inputs)
    assert largest_difference(expected(CONTROLLED, network, objective, inputs), exact) > 1e-3


def test_an_expansion_at_the_sample_would_bias(monkeypatch):
    """Means that have seen what the layer took."""
    honest = hnca.FirstOrder._pass_of_means

    def cheating(self, network, trace, name, shifts):
        likelier = network.layers[name].score(trace.logits[name], trace[name])
        seen = hnca.Trace(trace.values, {**trace.logits, name: trace.logits[name] + likelier}, trace.batch_shape)
        return honest(self, network, seen, name, shifts)

    monkeypatch.setattr(hnca.FirstOrder, "_pass_of_means", cheating)
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))
    exact = gradient(network, objective, inputs)
    assert largest_difference(expected(CONTROLLED, network, objective, inputs), exact) > 1e-3


def test_a_bound_is_known_by_example():
    """Without a baseline, what is left varies as if there were one."""
    network, objective, inputs = OBJECTIVES["2-layer auto-encoder"](jax.random.key(0))

    def variance(method):
        found = moments(method, network, objective, inputs).variance.layers["latent1"]
        return sum(float(jnp.sum(leaf)) for leaf in jax.tree.leaves(found))

    assert variance(hnca.HNCA(control=hnca.FirstOrder())) < 0.2 * variance(hnca.HNCA())


@pytest.mark.parametrize(("above", "below"), [(SIGNS, BITS), (SIGNS, None), (None, BITS)])
def test_what_is_linear_in_the_children_is_credited_as_their_means_are(above, below):
    """Against a network that ends at the parent, and is credited for the mean of what its children would have given."""
    k1, k2, k3 = jax.random.split(jax.random.key(3), 3)
    first = hnca.Free(6) if above is None else hnca.Free(3)
    parent = hnca.Categorical(first, 3) if above is None else hnca.Bernoulli(first, above)
    dense = hnca.Dense("parent", parent.features, 6 if below is None else 4, key=k1)
    child = hnca.Categorical(dense, 3) if below is None else hnca.Bernoulli(dense, below)
    worth = jax.random.normal(k2, (child.features,))
    network = hnca.Network({"parent": parent, "child": child})
    trace = network.sample(k3, {}, (5,))
    linear = hnca.Linear("child", worth[:, None], jnp.zeros(1))
    found = credits_of(hnca.HNCA(control=hnca.FirstOrder()), network, linear, trace)["parent"]

    alone = hnca.Network({"parent": parent})
    mean = hnca.Function(lambda seen: child.mean(child.logits((seen,), ())) @ worth, "parent")
    of_parent = hnca.Trace({"parent": trace["parent"]}, {"parent": trace.logits["parent"]}, trace.batch_shape)
    np.testing.assert_allclose(found, credits_of(hnca.HNCA(), alone, mean, of_parent)["parent"], rtol=0, atol=1e-12)


def test_a_sampled_trace_is_credited_as_its_states_are():
    """Values that are no binary fractions: a mistake between drawing and looking up shows only in a sampled trace."""
    values, k1, k2 = (0.1, 0.7), *jax.random.split(jax.random.key(0))
    layers = {
        "low": hnca.Bernoulli(hnca.Free(4), values),
        "high": hnca.Bernoulli(hnca.Dense("low", 4, 4, key=k1), values),
    }
    network = hnca.Network(layers)
    objective = hnca.Objective(
        hnca.Function(lambda low, high: jnp.sin(3 * jnp.sum(low * high)), ("low", "high")),
        hnca.SampledEntropy(network, "high"),
    )
    trace = network.sample(k2, {}, (20,))
    twin = network.evaluate({name: jnp.where(trace[name] > 0.4, 0.7, 0.1) for name in network.order}, (20,))
    drawn, written = (credits_of(CONTROLLED, network, objective, each) for each in (trace, twin))
    assert largest_difference(drawn, written) < 1e-10


def test_observed_rewards_alone_are_refused_and_beside_known_functions_left_as_they_are():
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    message = r"FirstOrder: differentiates .*\['Reward\(action\)'\], is observed once; .*Use hnca.HNCA with a baseline"
    with pytest.raises(ValueError, match=message):
        CONTROLLED.attribute(network, hnca.Objective(reward_of(trace)), trace)
    # Nothing is mediated where there is one layer, and nothing has to be differentiated.
    one = hnca.Network({"action": hnca.Categorical(hnca.Free(3))})
    drawn = one.sample(jax.random.key(1), {}, (2,))
    CONTROLLED.attribute(one, hnca.Objective(hnca.Reward("action", jnp.ones(2))), drawn)

    def both(trace):
        return hnca.Objective(*mixed(network, trace).components)

    found = moments(CONTROLLED, network, both, inputs, shifted(CONTROLLED.init(network, both(trace))))
    assert largest_difference(found.mean, gradient(network, both, inputs)) < 1e-10


def test_a_function_that_has_no_value_at_means_is_credited_without():
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    only_at_bits = hnca.Function(lambda bits: jnp.sum(jnp.where(bits * (1 - bits) == 0, bits, jnp.nan)), "second")
    batch = {"image": jnp.stack([inputs["image"]] * 4)}
    trace = network.sample(jax.random.key(1), batch)
    methods = hnca.HNCA(), hnca.HNCA(control=hnca.FirstOrder())
    plain, found = (credits_of(method, network, only_at_bits, trace) for method in methods)
    assert float(jnp.max(jnp.abs(plain["first"]))) > 1e-3
    assert largest_difference(found, plain) < 1e-12

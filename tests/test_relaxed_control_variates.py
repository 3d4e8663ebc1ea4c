"""REBAR and RELAX: unbiased by z-tests before and after adaptation, and less variable because of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from networks import BITS, NETWORKS, SIGNS, randomised, reward_of
from objectives import OBJECTIVES, wave
from test_exact import largest_difference
from test_relaxations import mixed_families

import hnca
from hnca.estimators._concrete import noisy_layers
from hnca.estimators._relaxation import BernoulliRelaxation, CategoricalRelaxation
from hnca.exact import gradient

pytestmark = pytest.mark.usefixtures("float64")
COUNT = 25_000
REBAR = hnca.REBAR(temperature=0.6, scale=0.8, learning_rate=0.02)
RELAX = hnca.RELAX(temperature=0.6, scale=0.8, learning_rate=0.02, hidden_units=8)


def diamond(key):
    """A layer with two children, a skip connection, and a layer that nothing depends on."""
    k1, k2, k3, k4, k5 = jax.random.split(key, 5)
    layers = {
        "root": hnca.Bernoulli(hnca.Dense("image", 2, 2, key=k1), SIGNS),
        "left": hnca.Bernoulli(hnca.Dense("root", 2, 2, key=k2), BITS),
        "right": hnca.Bernoulli(hnca.Dense(("root", "left"), (2, 2), 1, key=k3), SIGNS),
        "useless": hnca.Bernoulli(hnca.Dense("left", 2, 1, key=k4), BITS),
    }
    network = randomised(hnca.Network(layers, inputs={"image": 2}), k5)
    objective = hnca.Objective(hnca.Function(wave, ("root", "right")), hnca.Entropy(network, "right"))
    return network, objective, {"image": jnp.array([1.0, -0.5])}


def categorical(key):
    """Categorical units, one of them seen through an embedding, with a Bernoulli layer and several components after."""
    network, objective = mixed_families(key)
    return network, objective, {"image": jnp.array([0.7, -1.2])}


SETTINGS = {
    **{name: OBJECTIVES[name] for name in ("1-layer auto-encoder", "2-layer auto-encoder")},
    "auto-encoder with sampled entropies": OBJECTIVES["auto-encoder with sampled entropies"],
    "diamond": diamond,
    "categorical": categorical,
}
STRONG = {"temperature": 0.6, "scale": 2.0, "learning_rate": 0.02}
"""So much that an error in the control variate shows, and then so does its adaptation."""
PAIRS = [
    *((REBAR, name) for name in SETTINGS if name != "categorical"),
    (RELAX, "2-layer auto-encoder"),
    (hnca.REBAR(**STRONG), "categorical"),
    (hnca.RELAX(**STRONG, hidden_units=8), "categorical"),
]


def adapted(method, network, objective, inputs, steps=150, batch=20):
    """Returns the state after some calls on fresh samples."""
    batched = {name: jnp.broadcast_to(value, (batch, *value.shape)) for name, value in inputs.items()}

    def step(state, key):
        return hnca.estimate(method, network, objective, batched, key=key, state=state)[1].state, None

    state = method.init(network, objective)
    return jax.jit(lambda keys: jax.lax.scan(step, state, keys)[0])(jax.random.split(jax.random.key(7), steps))


def draws_by_state(method, network, objective, inputs, states):
    """Returns the gradients of `COUNT` independent calls with each state."""

    @jax.jit
    def draw(state, keys):
        return jax.vmap(
            lambda key: hnca.estimate(method, network, objective, inputs, key=key, state=state)[1].gradient
        )(keys)

    return [draw(state, jax.random.split(jax.random.key(1), COUNT)) for state in states]


def largest_deviation(drawn, exact):
    """Returns the largest z-score over all parameters."""
    scores = jax.tree.map(
        lambda sample, mean: (jnp.mean(sample, axis=0) - mean) / (jnp.std(sample, axis=0) / COUNT**0.5 + 1e-12),
        drawn,
        exact,
    )
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(scores))


def total_variance(drawn):
    return float(sum(jnp.sum(jnp.var(leaf, axis=0)) for leaf in jax.tree.leaves(drawn)))


@pytest.mark.parametrize(("method", "name"), PAIRS, ids=[f"{type(m).__name__} on {name}" for m, name in PAIRS])
@pytest.mark.sweep
@pytest.mark.thorough
def test_drawn_gradients_have_the_exact_mean_and_adaptation_lessens_their_variance(method, name):
    """z-tests of every parameter before and after adaptation, level 1e-6 over all of them (Bonferroni)."""
    network, objective, inputs = SETTINGS[name](jax.random.key(0))
    states = method.init(network, objective), adapted(method, network, objective, inputs)
    assert largest_difference(states[0].parameters, states[1].parameters) > 0.1
    before, after = draws_by_state(method, network, objective, inputs, states)
    exact = gradient(network, objective, inputs)
    assert largest_deviation(before, exact) < 5.6
    assert largest_deviation(after, exact) < 5.6
    assert total_variance(after) < 0.9 * total_variance(before)


def traced(name="2-layer auto-encoder"):
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    return network, objective, network.sample(jax.random.key(1), inputs)


@pytest.mark.parametrize("method", [hnca.REBAR(scale=0.0), hnca.RELAX(scale=0.0)], ids=["REBAR", "RELAX"])
@pytest.mark.sweep
def test_without_its_control_variate_it_is_reinforce(method):
    network, objective, trace = traced()
    found = method(network, objective, trace, key=jax.random.key(2)).credits
    assert largest_difference(found, hnca.REINFORCE()(network, objective, trace).credits) < 1e-12


def test_relax_begins_as_rebar_and_uses_what_it_has_learned():
    network, objective, trace = traced()
    rebar = hnca.REBAR()(network, objective, trace, key=jax.random.key(2))
    relax = hnca.RELAX()(network, objective, trace, key=jax.random.key(2))
    assert largest_difference(rebar.credits, relax.credits) < 1e-12
    second = hnca.RELAX()(network, objective, trace, key=jax.random.key(2), state=relax.state)
    as_rebar = relax.state._replace(parameters=relax.state.parameters._replace(surrogates={}))
    rebar = hnca.REBAR(learning_rate=0.0)
    state = rebar.init(network, objective)._replace(parameters=as_rebar.parameters)
    assert (
        largest_difference(second.credits, rebar(network, objective, trace, key=jax.random.key(2), state=state).credits)
        > 1e-4
    )


def test_adaptation_is_after_use_and_none_leaves_the_state_as_it_is():
    network, objective, trace = traced()
    frozen, adapting = hnca.REBAR(learning_rate=0.0), hnca.REBAR(learning_rate=0.5)
    start = frozen.init(network, objective)
    still, moved = (m(network, objective, trace, key=jax.random.key(2), state=start) for m in (frozen, adapting))
    assert largest_difference(still.state.parameters, start.parameters) == 0
    assert largest_difference(moved.state.parameters, start.parameters) > 0.1
    assert largest_difference(still.credits, moved.credits) == 0


def test_the_noise_is_that_of_the_trace():
    """Each relaxation lies on its unit's side; the noise is logistic, and tells nothing of the logits (z-tests)."""
    count, logits = 40_000, jnp.array([-3.0, -0.5, 0.0, 2.0])
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(4), SIGNS)})
    wide = jnp.broadcast_to(logits, (count, 4))
    values = network.layers["code"].sample(jax.random.key(0), wide)
    noisy = noisy_layers(REBAR, network, hnca.Trace({"code": values}, {"code": wide}, (count,)), jax.random.key(1))
    relaxation, prior, conditional = noisy["code"]
    state = (values + 1) / 2
    for z in (wide + prior, relaxation.scores_given(conditional, wide, state)):
        assert bool(jnp.all((z > 0) == (state > 0.5)))
        uniform = jax.nn.sigmoid(z - wide)
        for power in (1, 2, 3):
            spread = (1 / (2 * power + 1) - 1 / (power + 1) ** 2) ** 0.5 / count**0.5
            assert float(jnp.max(jnp.abs(jnp.mean(uniform**power, axis=0) - 1 / (power + 1)))) < 5.3 * spread


def test_the_relaxation_given_the_state_is_that_of_the_uniform_variable():
    logits, uniform = jnp.array([-2.0, 0.3, 1.5]), jnp.array([0.1, 0.5, 0.9])
    noise = jnp.log(uniform / (1 - uniform))
    for state in (0.0, 1.0):

        def by_uniform(a, state=state):
            p = jax.nn.sigmoid(a)
            u = uniform * (1 - p) if state == 0 else 1 - p + uniform * p
            return a + jnp.log(u) - jnp.log1p(-u)

        states = jnp.full(3, state)
        # The two count v from opposite ends where the state is 0.
        ours = lambda a, s=states: BITS_RELAXED.scores_given((2 * s - 1) * noise, a, s)  # noqa: E731
        np.testing.assert_allclose(ours(logits), by_uniform(logits), rtol=1e-12)
        slopes = [jax.grad(lambda a, f=f: jnp.sum(f(a)))(logits) for f in (ours, by_uniform)]
        np.testing.assert_allclose(*slopes, rtol=1e-10)


BITS_RELAXED = BernoulliRelaxation(hnca.Bernoulli(hnca.Free(4)))
CATEGORIES_RELAXED = CategoricalRelaxation(hnca.Categorical(hnca.Free(4)))


def test_extreme_logits_stay_finite():
    logits, noise = jnp.array([-1e4, -50.0, 50.0, 1e4], jnp.float32), jnp.zeros(4, jnp.float32)
    both_states = [(BITS_RELAXED, jnp.full(4, state, jnp.float32)) for state in (0, 1)]
    every_category = [(CATEGORIES_RELAXED, point) for point in jnp.eye(4, dtype=jnp.float32)]
    for relaxation, point in both_states + every_category:
        value, pull = jax.vjp(lambda a, r=relaxation, p=point: r.scores_given(noise, a, p), logits)
        assert bool(jnp.all(jnp.isfinite(value)) & jnp.all(jnp.isfinite(pull(jnp.ones_like(value))[0])))


@pytest.mark.parametrize("kind", [hnca.REBAR, hnca.RELAX])
def test_what_cannot_be_relaxed_is_refused(kind):
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match=f"{kind.__name__}: .*observed once does not allow; use HNCA or REINFORCE"):
        kind()(network, reward_of(trace), trace, key=jax.random.key(2))
    network, objective, trace = traced()
    with pytest.raises(ValueError, match=f"{kind.__name__}: key=None; expected a key"):
        kind()(network, objective, trace)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0.0}, "temperature=0.0; expected a number above 0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"scale": float("inf")}, "scale=inf; expected a finite number"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0; expected a number of at least 0"),
    ],
)
@pytest.mark.parametrize("kind", [hnca.REBAR, hnca.RELAX])
def test_wrong_arguments_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=f"{kind.__name__}: {message}"):
        kind(**arguments)


def test_relax_needs_a_hidden_unit():
    with pytest.raises(ValueError, match="RELAX: hidden_units=0; expected at least 1"):
        hnca.RELAX(hidden_units=0)

"""Control variates made of the other passes' slopes: what they take away, and how they are adapted."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from networks import BITS, NETWORKS, SIGNS, randomised, reward_of
from objectives import OBJECTIVES
from test_exact import largest_difference

import hnca
from hnca.estimators._relaxation import relaxation_of
from hnca.estimators._stein import neighbours_of, stein_credit, stein_value
from hnca.exact import gradient

pytestmark = pytest.mark.usefixtures("float64")
KINDS = [hnca.DoubleControlVariates, hnca.RODEO]


def linear(family=hnca.Bernoulli, **options):
    """One layer and a function that is linear in its point, over a batch of two."""
    key = jax.random.key(0)
    network = randomised(hnca.Network({"code": family(hnca.Dense("x", 2, 6, key=key), **options)}, {"x": 2}), key)
    weight = jnp.array([1.0, -2.0, 0.5, 3.0, 0.1, -1.0])
    objective = hnca.Objective(hnca.Function(lambda code: 200 + jnp.sum(weight * code), "code"))
    return network, objective, {"x": jnp.array([[0.3, -1.0], [2.0, 0.4]])}


LINEAR = {
    "bits": {"values": BITS},
    "signs": {"values": SIGNS},
    "categories": {"family": hnca.Categorical, "categories": 3},
}


def exact_of_batch(network, objective, inputs):
    examples = [gradient(network, objective, {"x": x}) for x in inputs["x"]]
    return jax.tree.map(lambda a, b: (a + b) / 2, *(eqx.filter(g, eqx.is_inexact_array) for g in examples))


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.sweep
def test_of_a_linear_function_nothing_varies(name):
    network, objective, inputs = linear(**LINEAR[name])
    method = hnca.DoubleControlVariates(3)
    _, found = eqx.filter_jit(hnca.estimate)(method, network, objective, inputs, key=jax.random.key(1))
    assert largest_difference(found.gradient, exact_of_batch(network, objective, inputs)) < 1e-10


def spread(estimate):
    """Returns by how much the credits of equal examples differ."""
    return float(jnp.std(jnp.mean(estimate.credits["code"], axis=0)[::2], axis=0).sum())


def test_the_scale_of_a_linear_function_is_found_in_one_call():
    network, objective, inputs = linear(values=SIGNS)
    inputs = {"x": jnp.tile(inputs["x"], (1000, 1))}
    method, step = hnca.DoubleControlVariates(2, scale=0.0), eqx.filter_jit(hnca.estimate)
    _, first = step(method, network, objective, inputs, key=jax.random.key(1))
    loo = step(hnca.IndependentLeaveOneOut(2), network, objective, inputs, key=jax.random.key(1))[1]
    assert largest_difference(first.credits, loo.credits) < 1e-12
    product, square = first.state["code"]
    assert abs(float(product / square) - 1) < 0.1
    _, second = step(method, network, objective, inputs, key=jax.random.key(2), state=first.state)
    assert spread(second) < 0.1 * spread(first)
    frozen = hnca.DoubleControlVariates(2, scale=0.0, decay=1.0)
    _, third = step(frozen, network, objective, inputs, key=jax.random.key(2), state=frozen.init(network, objective))
    assert jax.tree.leaves(third.state) == [0, 0]


def adapted_variance(method, name, steps=60):
    """Returns the total variance of the gradient over single calls, before and after calls on a batch."""
    network, objective, inputs = OBJECTIVES[name](jax.random.key(0))
    batched = {n: jnp.broadcast_to(value, (20, *value.shape)) for n, value in inputs.items()}

    def step(state, key):
        return hnca.estimate(method, network, objective, batched, key=key, state=state)[1].state, None

    @jax.jit
    def variance(state, keys):
        def draw(key):
            return hnca.estimate(method, network, objective, inputs, key=key, state=state)[1].gradient

        return sum(jnp.sum(jnp.var(leaf, axis=0)) for leaf in jax.tree.leaves(jax.vmap(draw)(keys)))

    start = method.init(network, objective)
    later = jax.jit(lambda keys: jax.lax.scan(step, start, keys)[0])(jax.random.split(jax.random.key(7), steps))
    keys = jax.random.split(jax.random.key(8), 4000)
    return float(variance(start, keys)), float(variance(later, keys))


FAR_AWAY = [hnca.DoubleControlVariates(2, scale=4.0), hnca.RODEO(2, scale=4.0, learning_rate=0.1)]


@pytest.mark.parametrize("method", FAR_AWAY, ids=["DoubleControlVariates", "RODEO"])
@pytest.mark.sweep
@pytest.mark.thorough
def test_adaptation_lessens_the_variance(method):
    """Of one that begins far away; and it ends below what is without a control variate."""
    before, after = adapted_variance(method, "2-layer auto-encoder")
    without, _ = adapted_variance(hnca.IndependentLeaveOneOut(2), "2-layer auto-encoder", steps=1)
    assert after < 0.5 * before
    assert after < 0.8 * without


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_and_no_keys_are_refused(kind):
    network, inputs = NETWORKS["chain of 0 and 1"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match="observed once does not allow; use HNCA or REINFORCE"):
        eqx.filter_eval_shape(kind(), network, reward_of(trace), trace, key=jax.random.key(2))
    network, objective, inputs = OBJECTIVES["1-layer auto-encoder"](jax.random.key(0))
    trace = network.sample(jax.random.key(1), inputs)
    with pytest.raises(ValueError, match=f"{kind.__name__}: key=None; expected a key"):
        eqx.filter_eval_shape(kind(), network, objective, trace)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 1}, "samples=1; expected at least 2"),
        ({"scale": float("nan")}, "scale=nan; expected a finite number"),
        ({"decay": 1.5}, "decay=1.5; expected a number from 0 to 1"),
    ],
)
def test_wrong_arguments_of_double_control_variates_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"DoubleControlVariates: {message}"):
        hnca.DoubleControlVariates(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 1}, "samples=1; expected at least 2"),
        ({"scale": float("inf")}, "scale=inf; expected a finite number"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0; expected a number of at least 0"),
        ({"hidden_units": 0}, "hidden_units=0; expected at least 1"),
    ],
)
def test_wrong_arguments_of_rodeo_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"RODEO: {message}"):
        hnca.RODEO(**arguments)


def test_rodeo_without_its_functions_is_leave_one_out_and_learns_more_than_lines():
    network, objective, inputs = linear(values=SIGNS)
    step = eqx.filter_jit(hnca.estimate)
    loo = step(hnca.IndependentLeaveOneOut(3), network, objective, inputs, key=jax.random.key(1))[1]
    method = hnca.RODEO(3, scale=0.0, learning_rate=0.01)
    _, first = step(method, network, objective, inputs, key=jax.random.key(1))
    assert largest_difference(first.credits, loo.credits) < 1e-10
    start, after = (s.adaptation.parameters["code"] for s in (method.init(network, objective), first.state))
    assert all(float(jnp.max(jnp.abs(after[name] - start[name]))) > 1e-3 for name in ("linear", "output"))
    frozen = hnca.RODEO(3, scale=0.0, learning_rate=0.0)
    _, second = step(frozen, network, objective, inputs, key=jax.random.key(1))
    assert largest_difference(second.state.adaptation.parameters, frozen.init(network, objective)[0].parameters) < 1e-12


@pytest.mark.parametrize("family", [hnca.Bernoulli, hnca.Categorical])
@pytest.mark.sweep
def test_what_the_operator_makes_of_a_function_expects_nothing(family):
    """Enumerated; and its value times the score is that of the function times the score, written out."""
    layer = family(hnca.Free(4), **({"categories": 2} if family is hnca.Categorical else {}))
    network = randomised(hnca.Network({"code": layer}), jax.random.key(0))
    slope = jax.random.normal(jax.random.key(1), network.sample(jax.random.key(0), {}, ()).logits["code"].shape)

    def of(trace):
        layer, logits = network.layers["code"], trace.logits["code"]
        point = relaxation_of(None, layer).point(trace["code"], logits)
        around = neighbours_of(layer, logits, point, slope, 0)
        here, there = jnp.exp(around.here), jnp.exp(around.there)
        return stein_value(around, here, there), stein_credit(around, here, there), again(layer, logits, trace["code"])

    def function(layer, logits, values):
        point = relaxation_of(None, layer).point(values, logits)
        score = layer.score(logits, values)
        h = jnp.exp(jnp.sum(slope * (point - relaxation_of(None, layer).soft(logits))))
        return h, h * score

    def again(layer, logits, values):
        """Returns the same two by drawing each unit again, every alternative weighted with its probability."""
        h, hs = function(layer, logits, values)
        value, credit = jnp.zeros(()), jnp.zeros_like(logits)
        for unit in range(layer.units):
            for other in layer.alternative_values(logits.dtype):
                changed = values.at[unit].set(other.astype(values.dtype))
                likely = jnp.exp(layer.log_prob(logits, changed)[unit])
                changed_h, changed_hs = function(layer, logits, changed)
                value, credit = value + likely * (changed_h - h), credit + likely * (changed_hs - hs)
        return value, credit

    states = hnca.exact.joint_states(network)["code"]
    trace = jax.vmap(lambda code: of(network.evaluate({"code": code}, ())))(jnp.asarray(states))
    assert largest_difference(trace[:2], trace[2]) < 1e-12
    expected = hnca.exact.expectation(network, {}, lambda trace: of(trace)[:2])
    assert max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected)) < 1e-12


def test_a_slope_that_is_not_finite_is_none():
    """Of a root at 0, whose derivative is infinite; only the control variate needs it."""
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(3))})
    objective = hnca.Objective(hnca.Function(lambda code: jnp.sqrt(jnp.sum(code)), "code"))
    trace = network.sample(jax.random.key(0), {}, (64,))
    found = eqx.filter_jit(hnca.DoubleControlVariates(2))(network, objective, trace, key=jax.random.key(1))
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves((found.credits, found.state)))

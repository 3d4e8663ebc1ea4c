"""Programs: the gradient of every structure is exact, by every way of asking for it; mistakes are told."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
from oracle import exact_gradient

import hnca

# Few states, and among them everything that is done to a draw's value: scans would take the oracle minutes.
JUDGED = [
    "elbo_plain",
    "embedding",
    "indexed_by_draw",
    "masked",
    "masked_by_what_is_looked_up",
    "counts",
    "scalar_draws",
    "shared_sum",
    "functions_with_derivatives_of_their_own",
    "reward_observed",
]


def loss_of(name):
    return partial(programs.PROGRAMS[name], hnca)


@pytest.mark.parametrize("name", programs.PROGRAMS)
@pytest.mark.sweep
def test_every_structure_is_exact(name, float64):
    p, x = programs.parameters(), programs.example()
    found = hnca.check_unbiased(loss_of(name), (p, jax.random.key(0), x))
    assert found.error < 1e-10
    if name in JUDGED:
        exact = exact_gradient(programs.PROGRAMS[name], p, x)
        for leaf, truth in zip(jax.tree.leaves(found.gradient), jax.tree.leaves(exact), strict=True):
            np.testing.assert_allclose(leaf, truth, atol=1e-10)


def test_a_table_of_booleans_has_no_masks():
    """Whatever it decides about."""
    p, x = programs.parameters(jnp.float32), programs.example(jnp.float32)
    jax.eval_shape(hnca.grad(loss_of("masked_by_what_is_looked_up")), p, jax.random.key(0), x)


def test_no_more_is_expected_of_short_floats_than_they_hold(float64):
    def loss(params, key, x):
        return jnp.sum((hnca.bernoulli(key, x @ params["in"]) @ params["out"] - x) ** 2)

    out = jnp.array([[0.5, 0.1, -0.2], [0.4, -0.3, 0.7]], jnp.float32)
    params = {"in": jnp.full((3, 2), 0.3, jnp.float32), "out": out}
    with jax.numpy_dtype_promotion("standard"):
        found = hnca.check_unbiased(loss, (params, jax.random.key(0), jnp.array([1.0, 0.0, 1.0])))
    assert 2e-8 < found.error < 1e-6


def test_check_unbiased_finds_a_bias(float64):
    arguments = (programs.parameters(), jax.random.key(0), programs.example())
    with pytest.raises(ValueError, match="StraightThrough's expected gradient is off by"):
        hnca.check_unbiased(loss_of("nonlinear"), arguments, estimator=hnca.StraightThrough())


@pytest.mark.parametrize("name", ["elbo_two_layers", "weighted_likelihoods", "categorical_likelihood"])
@pytest.mark.sweep
def test_a_batch_has_the_mean_of_its_examples_gradients(name, float64):
    p, loss = programs.parameters(), loss_of(name)
    xs = jnp.stack([programs.example(), programs.example()[::-1] * 0.5])
    keys = jax.random.split(jax.random.key(1), 2)
    value, gradient = jax.jit(hnca.value_and_grad(loss, in_axes=(None, 0, 0)))(p, keys, xs)
    of_one = jax.jit(hnca.value_and_grad(loss))
    single = [of_one(p, key, x) for key, x in zip(keys, xs, strict=True)]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *single)
    np.testing.assert_allclose(value, jnp.mean(jax.vmap(loss, (None, 0, 0))(p, keys, xs)), rtol=1e-12)
    for a, b in zip(jax.tree.leaves((value, gradient)), jax.tree.leaves(mean), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


ESTIMATORS = {
    "HNCA with a mean": hnca.HNCA(hnca.RunningMean()),
    "REINFORCE, learned": hnca.REINFORCE(hnca.LearnedBaseline()),
    "HNCA, two passes": hnca.LeaveOneOutHNCA(2),
    "leave one out": hnca.LeaveOneOut(),
    "NVIL": hnca.NVIL(),
    "RELAX": hnca.RELAX(),
    "double control variates": hnca.DoubleControlVariates(3),
    "RODEO": hnca.RODEO(hidden_units=3),
    "ARMS": hnca.ARMS(3),
    "unordered set": hnca.UnorderedSet(2),
    "straight-through": hnca.StraightThrough(),
    "DisARM": hnca.DisARM(),
    "coupled alternatives": hnca.CoupledAlternatives(2),
    "exact": hnca.Exact(),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.sweep
def test_estimators_take_programs(name, quick_compilation):
    p, xs = programs.parameters(jnp.float32), jnp.stack([programs.example(jnp.float32)] * 2)
    keys = jax.random.split(jax.random.key(1), 2)
    step = hnca.value_and_grad(
        loss_of("elbo_two_layers"), in_axes=(None, 0, 0), estimator=ESTIMATORS[name], stateful=True
    )
    state = None
    for seed in (5, 6):
        key = jax.random.key(seed)
        (value, state), gradient = step(p, keys, xs, estimator_key=key, estimator_state=state)
        assert all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves((value, gradient, state)))


@pytest.mark.parametrize("name", ["RELAX", "HNCA, two passes", "leave one out"])
@pytest.mark.sweep
def test_estimators_with_draws_of_their_own_are_unbiased(name):
    # 4000 pairs of keys; z-test of a projection at level 1e-5.
    p, x = programs.parameters(jnp.float32), programs.example(jnp.float32)
    loss = loss_of("sampled_entropy")

    def one(key):
        k1, k2 = jax.random.split(key)
        gradient = hnca.grad(loss, estimator=ESTIMATORS[name])(p, k1, x, estimator_key=k2)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(gradient))

    found = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=500))(jax.random.split(jax.random.key(8), 4000))
    truth = hnca.check_unbiased(loss, (p, jax.random.key(0), x)).gradient
    truth = sum(float(jnp.sum(leaf)) for leaf in jax.tree.leaves(truth))
    error = float(jnp.std(found)) / len(found) ** 0.5
    assert abs(float(jnp.mean(found)) - truth) < 4.5 * error


def whole_batch_loss(p, key, x):
    k1, k2 = jax.random.split(key)
    h = hnca.bernoulli(k1, x @ p["in"])
    z = hnca.categorical(k2, h @ p["square"])
    a = h @ p["back"] + jax.nn.one_hot(z, 4, dtype=x.dtype)
    return jnp.mean(jnp.sum(jax.nn.softplus(a) - x * a, axis=-1)), (h, z)


def test_a_function_of_a_whole_batch_is_credited_by_example(float64):
    p = programs.parameters()
    xs = jnp.stack([programs.example(), programs.example()[::-1] * 0.5, 1 - programs.example()])
    step = jax.jit(hnca.value_and_grad(whole_batch_loss, has_aux=True, in_axes=(None, None, 0), whole_batch=True))
    (value, (hs, zs)), gradient = step(p, jax.random.key(3), xs)

    def one(p, x, h, z):
        h = hnca.bernoulli(None, x @ p["in"], given=h)
        z = hnca.categorical(None, h @ p["square"], given=z)
        a = h @ p["back"] + jax.nn.one_hot(z, 4, dtype=x.dtype)
        return jnp.sum(jax.nn.softplus(a) - x * a)

    expected = jax.jit(hnca.value_and_grad(one, in_axes=(None, 0, 0, 0)))(p, xs, hs, zs)
    for a, b in zip(jax.tree.leaves((value, gradient)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


KEY = jax.random.key(0)


@pytest.fixture
def as_if_many(monkeypatch):
    """As if there were too many units to evaluate all of it anew where an ulp might matter."""
    monkeypatch.setattr("hnca.programs.parts._FEW", 0)
    monkeypatch.setattr("hnca.programs.parts._OPERATIONS", 0)


def test_explain_names_lines_and_ways(as_if_many):
    p, x = programs.parameters(jnp.float32), programs.example(jnp.float32)
    text = hnca.explain(loss_of("nonlinear"))(p, KEY, x)
    assert "Dense, then the rest" in text
    assert "bernoulli_1: not affine in the units." in text
    assert "programs.py" in text
    assert "evaluated anew" not in hnca.explain(loss_of("elbo_two_layers"))(p, KEY, x)


@pytest.mark.parametrize("whole_batch", [False, True])
def test_explain_reads_shapes_and_runs_nothing(whole_batch):
    """A program is explained in the time that tracing takes; nothing of it is compiled."""
    compiled = []

    def listen(event, _, **names):
        compiled.extend([names.get("fun_name")] if "backend_compile" in event else [])

    def loss(p, key, xs):
        hidden = hnca.bernoulli(key, jnp.tanh(xs @ p["in"]))
        return jnp.sum((jnp.sin(hidden @ p["out"]) - xs) ** 2)

    sizes = 5 + whole_batch, 7
    p = {"in": jnp.ones(sizes), "out": jnp.ones(sizes[::-1])}
    xs = jnp.ones((3, sizes[0]) if whole_batch else sizes[:1])
    in_axes = (None, None, 0) if whole_batch else None
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        hnca.explain(loss, in_axes=in_axes, whole_batch=whole_batch)(p, KEY, xs)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert len(compiled) <= 3, compiled


def offset_by_words(p, key, x):
    keys = jax.random.split(key, 3)
    first = hnca.categorical(keys[0], p["in"][0])
    second = hnca.categorical(keys[1], x @ p["in"] + p["square"][first])
    last = hnca.bernoulli(keys[2], p["square"][second, 0] - p["square"][first, 1] + x[0])
    return (second.astype(x.dtype) - 1.0) ** 2 * last


def walk(p, key, x):
    place = x[0]
    for step_key in jax.random.split(key, 3):
        place += hnca.bernoulli(step_key, p["in"][0, 0] + p["in"][1, 1] * place, values=(-1, 1))
    return place**2


@pytest.mark.parametrize("function", [offset_by_words, walk])
@pytest.mark.sweep
def test_what_is_only_added_makes_no_layer_dear(function, float64):
    """An offset that differs by example, or that other draws make, is no part of a weight."""
    p, xs = programs.parameters(), jnp.stack([programs.example(), 0.5 * programs.example()])
    assert "run again" not in hnca.explain(function, in_axes=(None, 0, 0))(p, jax.random.split(KEY, 2), xs)
    assert hnca.check_unbiased(function, (p, KEY, xs[0])).error < 1e-10


def test_a_share_whose_log_is_taken_is_computed_as_the_program_does():
    """What is added up unit by unit may be an ulp below 0 where nobody is ill, and a logarithm of it none."""

    def loss(rate, key):
        first, second = jax.random.split(key)
        share = jnp.sum(hnca.bernoulli(first, jnp.full(20, rate))) / 20
        return jnp.sum(hnca.bernoulli(second, jnp.full(20, jnp.log(1 - jnp.exp(-rate * share) + 1e-20))))

    assert "Dense" not in hnca.explain(loss)(jnp.float32(0.5), KEY)


def test_a_likelihood_has_a_message_of_its_own(float64):
    """What is linear in its logits is no component beside it, which would cost a matrix product more."""
    told = hnca.explain(loss_of("weighted_likelihoods"))(programs.parameters(), jax.random.key(0), programs.example())
    assert told.count("log-likelihood") == 3
    assert "log-normaliser" not in told


def test_a_term_that_is_too_dear_is_credited_by_the_score(float64, as_if_many, monkeypatch):
    arguments = (programs.parameters(), KEY, programs.example())
    assert "evaluated anew 3 times" in hnca.explain(loss_of("nonlinear"))(*arguments)
    assert hnca.check_unbiased(loss_of("nonlinear"), arguments).error < 1e-10
    for module in ("model", "explaining"):
        monkeypatch.setattr(f"hnca.programs.{module}.MAXIMUM_EVALUATIONS", 2)
    told = hnca.explain(loss_of("nonlinear"))(*arguments)
    assert "bernoulli_1: not affine in the units; 3 evaluations are more than 2" in told
    assert told.count("credited by the score") == told.count("or hnca.CoupledAlternatives(4)") == 2
    assert hnca.check_unbiased(loss_of("nonlinear"), arguments).error < 1e-10

"""What every estimator must do, whatever it estimates: one set of tests over the registry of cases."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES, CASES
from networks import NETWORKS
from objectives import OBJECTIVES

import hnca
from hnca import estimators
from hnca.objectives import as_objective

BATCH = 6
pytestmark = pytest.mark.usefixtures("quick_compilation")


def setting(name="branching", batch=(BATCH,)):
    network, inputs = NETWORKS[name](jax.random.key(0))
    inputs = {key: jnp.broadcast_to(value, (*batch, *value.shape)) for key, value in inputs.items()}
    trace = network.sample(jax.random.key(1), inputs, batch)
    return network, hnca.Reward("action", jnp.sin(jnp.arange(float(np.prod(batch)))).reshape(batch)), trace


def setting_for(case):
    """Returns (network, objective, trace, key): a reward where it is enough, a known function where it is not."""
    if not (case.draws or case.biased):
        return *setting(), None
    network, objective, inputs = OBJECTIVES[case.objective](jax.random.key(0))
    trace = network.sample(jax.random.key(1), {k: jnp.broadcast_to(v, (BATCH, *v.shape)) for k, v in inputs.items()})
    return network, objective, trace, jax.random.key(2)


def arrays(tree):
    return jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))


def assert_close(left, right, **tolerance):
    for a, b in zip(arrays(left), arrays(right), strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 1e-5, "atol": 1e-6, **tolerance})


def test_every_estimator_has_a_case():
    concrete = {
        member
        for _, member in inspect.getmembers(estimators, inspect.isclass)
        if issubclass(member, estimators.Estimator) and not inspect.isabstract(member)
    }
    assert concrete == {type(case.estimator) for case in ALL_CASES.values()}


@pytest.mark.parametrize("case", ALL_CASES.values(), ids=list(ALL_CASES))
class TestProtocol:
    @pytest.mark.sweep
    def test_credit_has_the_shape_and_dtype_of_the_logits(self, case):
        network, objective, trace, key = setting_for(case)
        estimate = eqx.filter_eval_shape(case.estimator, network, objective, trace, key=key)
        assert set(estimate.credits) == set(network.layers)
        for layer, credit in estimate.credits.items():
            assert credit.shape == estimate.trace.logits[layer].shape
            assert credit.dtype == trace.logits[layer].dtype == jnp.float32
        assert estimate.value.shape == (BATCH,)
        if case.estimator.passes(network, trace, key) is not None:
            assert estimate.trace.batch_shape == (estimate.passes, BATCH)

    @pytest.mark.sweep
    def test_float64_stays_float64(self, case):
        with jax.enable_x64(True):
            network, objective, trace, key = setting_for(case)
            estimate = eqx.filter_eval_shape(case.estimator, network, objective, trace, key=key)
            leaves = [leaf for leaf in jax.tree.leaves(estimate) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
            assert {leaf.dtype for leaf in leaves} == {jnp.dtype("float64")}

    @pytest.mark.sweep
    def test_vmap_over_keys_is_a_loop_over_them(self, case):
        network, objective, trace, _ = setting_for(case)
        keys = jax.random.split(jax.random.key(3), 2)

        def credits(key):
            return case.estimator(network, objective, trace, key=key).credits

        together, compiled = jax.jit(jax.vmap(credits))(keys), jax.jit(credits)
        for place, key in enumerate(keys):
            alone = compiled(key)
            assert_close(jax.tree.map(lambda leaf, place=place: leaf[place], together), alone)

    @pytest.mark.sweep
    def test_a_scan_traces_it_once(self, case):
        network, objective, trace, key = setting_for(case)
        count = 0

        def step(state, _):
            nonlocal count
            count += 1
            estimate = case.estimator(network, objective, trace, state=state, key=key)
            return estimate.state, jnp.mean(estimate.value)

        scan = jax.jit(lambda state: jax.lax.scan(step, state, None, length=3))
        state = case.estimator.init(network, as_objective(objective))
        scan(scan(state)[0])
        assert count == 1

    def test_it_is_documented(self, case):
        text = inspect.getdoc(type(case.estimator))
        for heading in ("**Formula.**", "**Bias.**", "**Cost.**", "**Reference.**", "Example"):
            assert heading in text

    def test_an_objective_of_an_unknown_layer_is_refused(self, case):
        network, _, trace, key = setting_for(case)
        with pytest.raises(ValueError, match=r"'aktion'.*not layers of the network"):
            case.estimator(network, Unknown(), trace, key=key)


@pytest.mark.parametrize("name", ["HNCA with a running mean", "HNCA with leave-one-out", "REBAR", "VIMCO"])
@pytest.mark.thorough
def test_jit_changes_nothing(name):
    """Of each way to come to credits one: operation by operation they take long."""
    case = ALL_CASES[name]
    network, objective, trace, key = setting_for(case)
    eager = case.estimator(network, objective, trace, key=key)
    assert_close(eqx.filter_jit(case.estimator)(network, objective, trace, key=key), eager)


class Unknown(hnca.Component):
    """A component of a layer that is not there."""

    arguments: tuple[str, ...] = eqx.field(static=True, default=("aktion",))
    counterfactual: bool = eqx.field(static=True, default=True)
    repeatable: bool = eqx.field(static=True, default=True)

    def value(self, network, trace):
        return jnp.zeros(trace.batch_shape)

    def contrast(self, network, trace, layer):
        raise AssertionError("is never asked for")


@pytest.mark.parametrize("estimator", [case.estimator for case in CASES.values()], ids=list(CASES))
class TestFunctionOfTheTrace:
    @pytest.mark.sweep
    def test_vmap_over_the_batch_is_the_mean_over_the_batch(self, estimator):
        network, reward, trace = setting()
        state = estimator.init(network, hnca.Objective(reward))

        def one(values, observed):
            example = network.evaluate(values, ())
            return estimator(network, hnca.Reward("action", observed), example, state=state)

        single = jax.jit(jax.vmap(one))(trace.values, reward.observed)
        whole = eqx.filter_jit(estimator)(network, reward, trace, state=state)
        assert_close(single.credits, whole.credits)
        assert_close(jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), single.gradient), whole.gradient)

    @pytest.mark.sweep
    def test_two_batch_axes_are_one(self, estimator):
        network, reward, trace = setting(batch=(2, 3))
        folded = network.evaluate({k: v.reshape(6, *v.shape[2:]) for k, v in trace.values.items()}, (6,))
        compiled = eqx.filter_jit(estimator)
        one_axis = compiled(network, hnca.Reward("action", reward.observed.reshape(6)), folded)
        assert_close(compiled(network, reward, trace).gradient, one_axis.gradient)

    @pytest.mark.sweep
    def test_gradients_do_not_flow_through_the_credits(self, estimator):
        network, reward, trace = setting()
        by_hand = jax.jit(
            jax.grad(
                lambda n: hnca.surrogate(
                    n, reward, trace, estimator(n, reward, n.evaluate(trace.values, (BATCH,))).credits
                )
            )
        )
        assert_close(by_hand(network), eqx.filter_jit(estimator)(network, reward, trace).gradient)


def test_estimate_samples_with_one_key_and_estimates_with_another():
    network, reward, trace = setting()
    inputs = {"image": trace["image"]}
    mean, estimate = hnca.estimate(hnca.HNCA(), network, reward, inputs, key=jax.random.key(4))
    sample_key, _ = jax.random.split(jax.random.key(4))
    again = hnca.HNCA()(network, reward, network.sample(sample_key, inputs))
    assert_close(estimate.gradient, again.gradient)
    np.testing.assert_allclose(mean, jnp.mean(reward.observed), rtol=1e-6)


@pytest.mark.parametrize("case", ALL_CASES.values(), ids=list(ALL_CASES))
def test_a_state_begins_with_a_component_as_with_an_objective(case):
    network, reward, _ = setting()
    one = case.estimator.init(network, reward)
    assert jax.tree.structure(one) == jax.tree.structure(case.estimator.init(network, hnca.Objective(reward)))
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(one)]
    assert len(set(buffers)) == len(buffers), "could not be donated"


def test_a_baseline_is_used_before_it_is_updated():
    network, reward, trace = setting()
    first = hnca.HNCA(hnca.RunningMean(0.9, debias=False))(network, reward, trace)
    plain = hnca.HNCA()(network, reward, trace)
    assert_close(first.credits, plain.credits, rtol=0, atol=0)
    for state in jax.tree.leaves(first.state):
        np.testing.assert_allclose(state, 0.1 * jnp.mean(reward.observed), rtol=1e-5)
    second = hnca.HNCA(hnca.RunningMean(0.9, debias=False))(network, reward, trace, state=first.state)
    shifted = hnca.HNCA()(network, hnca.Reward("action", reward.observed - 0.1 * jnp.mean(reward.observed)), trace)
    assert_close(second.credits, shifted.credits)

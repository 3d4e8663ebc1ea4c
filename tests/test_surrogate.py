"""The surrogate: what made a network's inputs is differentiated through it, exactly, and wrong credits are refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import ALL_CASES
from networks import BITS
from objectives import auto_encoder
from test_estimator_protocol import assert_close, setting, setting_for
from test_exact import largest_difference
from test_vimco import OfTheseSamples, exact_bound, over_tuples

import hnca
from hnca.exact import joint_states

pytestmark = pytest.mark.usefixtures("quick_compilation")

ESTIMATORS = {
    "HNCA": hnca.HNCA(),
    "REINFORCE": hnca.REINFORCE(),
    "NVIL": hnca.NVIL(normalise=False),
    "Exact": hnca.Exact(),
}


def with_torso(entropy):
    """A network over features, a torso that makes them of an image, and what is both read and scored."""
    network, objective, inputs = auto_encoder(2, BITS, entropy)(jax.random.key(0))
    torso = eqx.nn.Linear(3, 3, key=jax.random.key(1))
    return network, objective, torso, inputs["image"]


def features(torso, image):
    """What the torso makes of an image: smooth, and different in every place."""
    return {"image": jax.nn.sigmoid(torso(image))}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.sweep
def test_a_torso_outside_the_network_gets_the_exact_gradient(name):
    network, objective, torso, image = with_torso(hnca.Entropy)
    estimator = ESTIMATORS[name]

    def one_state(values):
        """The gradient of the torso by the surrogate, times the probability of the state."""

        def loss(torso):
            trace = network.evaluate({**features(torso, image), **values}, ())
            return hnca.surrogate(network, objective, trace, estimator(network, objective, trace))

        trace = network.evaluate({**features(torso, image), **values}, ())
        return jax.tree.map(lambda g: jnp.exp(network.log_prob(trace)) * g, jax.grad(loss)(torso))

    states = jax.tree.map(jnp.asarray, joint_states(network))
    found = jax.tree.map(lambda g: jnp.sum(g, axis=0), jax.jit(lambda s: jax.lax.map(one_state, s))(states))
    exact = jax.grad(lambda torso: hnca.exact.value(network, objective, features(torso, image)))(torso)
    assert largest_difference(found, exact) < 1e-10
    assert float(jnp.max(jnp.abs(exact.weight))) > 1e-2


@pytest.mark.usefixtures("float64")
def test_the_torso_of_a_bound_of_several_samples_has_their_weights():
    network, objective, torso, image = with_torso(hnca.SampledEntropy)
    network, objective, _ = auto_encoder(1, BITS, hnca.SampledEntropy)(jax.random.key(0))

    def of_samples(trace):
        def loss(torso):
            seen = jnp.broadcast_to(features(torso, image)["image"], (2, 3))
            again = network.evaluate({**trace.values, "image": seen}, (2,))
            return hnca.surrogate(network, objective, again, OfTheseSamples(2)(network, objective, again))

        return jax.tree.map(lambda g: jnp.exp(jnp.sum(network.log_prob(trace))) * g, jax.grad(loss)(torso))

    found = eqx.filter_jit(over_tuples)(network, features(torso, image), 2, of_samples)
    exact = jax.grad(lambda torso: exact_bound(network, objective, features(torso, image), 2))(torso)
    assert largest_difference(found, exact) < 1e-10


@pytest.mark.parametrize("case", ALL_CASES.values(), ids=list(ALL_CASES))
@pytest.mark.sweep
def test_the_estimate_itself_gives_its_gradient_back(case):
    """With the weights of several passes, and from the one pass that the estimator was given."""
    network, objective, trace, key = setting_for(case)

    @jax.jit
    def both(network):
        estimate = case.estimator(network, objective, trace, key=key)
        return jax.grad(lambda n: hnca.surrogate(n, objective, trace, estimate))(network), estimate.gradient

    assert_close(*both(network))


def test_credits_of_another_trace_or_layer_are_refused():
    network, reward, trace = setting()
    credits = hnca.HNCA()(network, reward, trace).credits
    with pytest.raises(ValueError, match=r"credit of layer 'left' has shape \(3, 2\); expected .* \(6, 2\)"):
        hnca.surrogate(network, reward, trace, {**credits, "left": credits["left"][:3]})
    with pytest.raises(ValueError, match=r"credits of .*'lefd'.*; expected one a layer"):
        hnca.surrogate(network, reward, trace, {**credits, "lefd": credits["left"]})
    with pytest.raises(ValueError, match="expected one a layer"):
        hnca.surrogate(network, reward, trace, {"left": credits["left"]})
    estimate = hnca.HNCA()(network, reward, trace)
    with pytest.raises(ValueError, match=r"trace has the batch \(3,\); expected the estimate's, \(6,\)"):
        hnca.surrogate(network, reward, network.evaluate(jax.tree.map(lambda v: v[:3], trace.values), (3,)), estimate)


class Odd(hnca.Component):
    """A component of the user's own, whose value is whatever it is made of."""

    returned: jax.Array
    arguments: tuple[str, ...] = eqx.field(static=True, default=("left",))
    counterfactual: bool = eqx.field(static=True, default=False)
    repeatable: bool = eqx.field(static=True, default=True)

    def value(self, network, trace):
        return self.returned

    def contrast(self, network, trace, layer):
        return jnp.ones(7)


KEYLESS = {name: case for name, case in ALL_CASES.items() if name in ("HNCA", "REINFORCE", "NVIL", "LeaveOneOut")}


@pytest.mark.parametrize("case", KEYLESS.values(), ids=list(KEYLESS))
@pytest.mark.parametrize("shape", [(), (1,), (6, 1), (6, 2), (3, 2)])
def test_a_value_that_is_not_one_number_an_example_is_refused(case, shape):
    network, _, trace = setting()
    with pytest.raises(ValueError, match=r"Odd\(left\): value has shape .*; expected \(6,\), one number an example"):
        case.estimator(network, Odd(jnp.ones(shape)), trace, key=jax.random.key(2))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float16"])
@pytest.mark.sweep
def test_numbers_of_any_kind_are_made_the_networks(dtype):
    network, _, trace = setting()
    returned = jnp.arange(6).astype(dtype)
    for case in KEYLESS.values():
        key = jax.random.key(2)
        found = case.estimator(network, Odd(returned), trace, key=key)
        expected = case.estimator(network, Odd(returned.astype(jnp.float32)), trace, key=key)
        assert found.value.dtype == jnp.float32
        np.testing.assert_array_equal(found.value, expected.value)
        np.testing.assert_array_equal(found.credits["left"], expected.credits["left"])


def test_a_contrast_of_another_shape_is_refused():
    network, _, trace = setting()
    wrong = Odd(jnp.ones(6), counterfactual=True)
    with pytest.raises(ValueError, match=r"Odd\(left\): contrast for 'left' has shape \(7,\); expected \(6, 2\)"):
        hnca.HNCA()(network, wrong, trace)

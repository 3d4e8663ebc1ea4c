"""Networks of deterministic units between stochastic layers: what they compute, what they hold, what they refuse."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.messages import entropy_contrast, enumerated_contrast

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEYS = jax.random.split(jax.random.key(0), 4)


def code_to_image(code=5, hidden=6, pixels=9):
    first, last = hnca.Dense("code", code, hidden, key=KEYS[0]), hnca.Dense("previous", hidden, pixels, key=KEYS[1])
    return hnca.Sequential(first, jax.nn.leaky_relu, last)


def test_it_is_its_stages_one_after_another():
    conditional = code_to_image()
    code = jax.random.normal(KEYS[2], (3, 2, 5))
    first, (_, last) = conditional.first, conditional.rest
    expected = jax.nn.leaky_relu(code @ first.weights[0]) @ last.weights[0]
    np.testing.assert_allclose(conditional((code,), (3, 2)), expected, rtol=1e-5, atol=1e-6)
    assert conditional.out_features == 9
    assert conditional.parents == ("code",)


def test_a_network_with_plain_functions_is_a_pytree_of_arrays():
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(5)), "image": hnca.Bernoulli(code_to_image())})
    trace = jax.jit(lambda n, k: n.sample(k, {}, (4,)))(network, KEYS[3])
    assert trace["image"].shape == (4, 9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("parent_family", ["bernoulli", "categorical"])
@pytest.mark.parametrize("child_family", ["bernoulli", "categorical"])
@pytest.mark.parametrize("deep", [True, False])
@pytest.mark.sweep
def test_entropy_contrasts_are_those_of_every_change(parent_family, child_family, deep):
    k1, k2, k3 = jax.random.split(jax.random.key(1), 3)
    if parent_family == "bernoulli":
        code = hnca.Bernoulli(hnca.Dense("image", 2, 4, key=k1), (-1, 1))
    else:
        code = hnca.Categorical(hnca.Dense("image", 2, 6, key=k1), categories=3)
    conditional = hnca.Dense("code", code.features, 4, key=k2)
    if deep:
        conditional = hnca.Sequential(conditional, jnp.tanh, hnca.Dense("previous", 4, 4, key=k3))
    child = hnca.Bernoulli(conditional) if child_family == "bernoulli" else hnca.Categorical(conditional, categories=2)
    network = hnca.Network({"code": code, "child": child}, inputs={"image": 2})
    trace = network.sample(jax.random.key(2), {"image": jax.random.normal(jax.random.key(3), (3, 2))})
    found = entropy_contrast(network, trace, "child", "code")
    slow = enumerated_contrast(network.layers["child"], network.layers["child"].entropy, network, trace, "code")
    np.testing.assert_allclose(found, slow, rtol=1e-10, atol=1e-12)


def test_messages_hold_no_more_than_some_evaluations():
    """What the message of an auto-encoder's decoder holds grows with the batch, and not with batch * parents."""
    image = hnca.Bernoulli(code_to_image(200, 200, 784))
    network = hnca.Network({"code": hnca.Bernoulli(hnca.Free(200)), "image": image})
    trace = jax.eval_shape(lambda: network.sample(KEYS[3], {}, (200,)))
    call = jax.jit(lambda t: hnca.message(network, t, "image", "code")).lower(trace).compile()
    assert call.memory_analysis().temp_size_in_bytes < 4 * 200 * 200 * 784 / 2


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([hnca.Dense("code", 6, 3, key=KEYS[1])], ["stage 2", "'code'", "'previous'"]),
        ([hnca.Dense("previous", 7, 3, key=KEYS[1])], ["stage 2", "7", "stage 1", "6"]),
        ([jnp.tanh, eqx.nn.Linear(5, 2, key=KEYS[1])], ["stage 3", "6 features"]),
        ([jnp.sum], ["stage 2", "shape ()", "vector"]),
    ],
)
def test_stages_that_do_not_fit_are_named(stages, words):
    with pytest.raises(ValueError, match="Sequential") as error:
        hnca.Sequential(hnca.Dense("code", 5, 6, key=KEYS[0]), *stages)
    for word in words:
        assert word in str(error.value)


def test_the_network_names_layer_and_parent():
    code = hnca.Bernoulli(hnca.Free(4))
    with pytest.raises(ValueError, match=r"'image'.*5 features.*'code'.*\(4,\)"):
        hnca.Network({"code": code, "image": hnca.Bernoulli(code_to_image())})

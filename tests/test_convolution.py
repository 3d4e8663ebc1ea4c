"""Convolutional layers: their logits against a sum written out, their messages against evaluating every flip."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca
from hnca.messages import entropy_contrast, enumerated_contrast, mean_contrast
from hnca.messages.convolution import convolution_message

pytestmark = pytest.mark.usefixtures("quick_compilation")

GEOMETRIES = {
    "plain": {"kernel_size": 3},
    "stride": {"kernel_size": (3, 2), "stride": 2},
    "padding": {"kernel_size": 3, "padding": (2, 1)},
    "dilation": {"kernel_size": 2, "dilation": (2, 3)},
    "all": {"kernel_size": (2, 3), "stride": (3, 2), "padding": 2, "dilation": (1, 2)},
    "gaps": {"kernel_size": 1, "stride": 3},
}


def pair(geometry, out_channels=3, values=(-1, 1)):
    k1, k2 = jax.random.split(jax.random.key(0))
    low = hnca.Bernoulli(hnca.Dense("image", 2, 5 * 6 * 2, key=k1), values)
    high = hnca.Bernoulli(hnca.Conv("low", (5, 6, 2), out_channels, key=k2, **GEOMETRIES[geometry]))
    network = hnca.Network({"low": low, "high": high}, inputs={"image": 2})
    image = jax.random.normal(jax.random.key(1), (4, 2))
    return network, network.sample(jax.random.key(2), {"image": image})


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.sweep
def test_logits_are_sums_over_patches(geometry):
    network, trace = pair(geometry)
    conv = network.layers["high"].conditional
    (top, bottom), (left, right) = conv.padding
    maps = np.pad(np.asarray(trace["low"]).reshape(4, 5, 6, 2), ((0, 0), (top, bottom), (left, right), (0, 0)))
    weight = np.asarray(conv.weight)
    expected = np.zeros((4, *conv.out_shape))
    for y, x in np.ndindex(*conv.out_shape[:2]):
        for v, h in np.ndindex(*weight.shape[:2]):
            place = y * conv.stride[0] + v * conv.dilation[0], x * conv.stride[1] + h * conv.dilation[1]
            expected[:, y, x] += maps[:, place[0], place[1]] @ weight[v, h]
    np.testing.assert_allclose(trace.logits["high"].reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.usefixtures("float64")
@pytest.mark.sweep
def test_messages_and_contrasts_of_entropies_and_means_are_those_of_every_flip(geometry):
    network, trace = pair(geometry, out_channels=17 if geometry == "stride" else 3)
    layer = network.layers["high"]
    slope = jnp.cos(3 * trace.logits["high"])
    quantities = {
        "message": lambda logits: layer.log_prob(logits, trace["high"]),
        "entropy": layer.entropy,
        "mean": lambda logits: slope * jax.nn.sigmoid(logits),
    }
    found = {
        "message": hnca.message(network, trace, "high", "low"),
        "entropy": entropy_contrast(network, trace, "high", "low"),
        "mean": mean_contrast(network, trace, "high", "low", slope),
    }
    for name, quantity in quantities.items():
        slow = enumerated_contrast(layer, quantity, network, trace, "low")
        np.testing.assert_allclose(found[name], slow, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 20.0, 1e4])
@pytest.mark.sweep
def test_messages_in_float32_are_exact_where_they_must_be_and_finite_everywhere(scale):
    network, trace = pair("all", out_channels=20)
    conv = network.layers["high"].conditional
    weight = scale * jax.random.uniform(jax.random.key(3), conv.weight.shape, minval=-1.0)
    conv = with_weight(conv, weight)
    logits = 30 * jax.random.uniform(jax.random.key(4), trace.logits["high"].shape, minval=-1.0)
    state = (trace["low"] + 1) / 2
    found = convolution_message(conv, 2.0, logits, trace["high"], state)
    assert bool(jnp.all(jnp.isfinite(found)))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: a.astype(jnp.float64), (conv, logits, trace["high"], state))
        exact = convolution_message(wide[0], 2.0, *wide[1:])
        # Every child adds a linear term and a log, neither above what its logit would shift by.
        magnitudes = with_weight(wide[0], jnp.abs(wide[0].weight))
        shifts = (
            2.0 * jax.vjp(magnitudes.convolve, jnp.zeros((4, *conv.in_shape)))[1](jnp.ones((4, *conv.out_shape)))[0]
        )
        limit = 1e-5 * 2 * shifts.reshape(found.shape) + 1e-5
    assert np.all(np.abs(np.asarray(found) - np.asarray(exact)) <= np.asarray(limit))


def with_weight(conv, weight):
    return jax.tree.unflatten(jax.tree.structure(conv), [weight, conv.bias])


MISTAKES = {
    r"in_shape=\(5, 6\); expected \(height, width, channels\)": {"in_shape": (5, 6)},
    r"kernel_size=7 spans \(7, 7\) of parent 'low', whose padded map is \(5, 6\)": {"kernel_size": 7},
    "stride=0; expected one or two whole numbers of at least 1": {"stride": 0},
    "padding=-1; expected one or two whole numbers of at least 0": {"padding": -1},
    "out_channels=0": {"out_channels": 0},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_shapes_that_do_not_fit_are_refused(message):
    arguments = {"in_shape": (5, 6, 2), "out_channels": 3, "kernel_size": 3, **MISTAKES[message]}
    with pytest.raises(ValueError, match=f"Conv: {message}"):
        hnca.Conv("low", key=jax.random.key(0), **arguments)


def test_a_parent_of_another_size_is_named():
    low = hnca.Bernoulli(hnca.Dense("image", 2, 12, key=jax.random.key(0)))
    high = hnca.Bernoulli(hnca.Conv("low", (3, 3, 1), 1, 2, key=jax.random.key(0)))
    with pytest.raises(
        ValueError, match=r"layer 'high' expects 9 features of its parent 'low', which has shape \(12,\)"
    ):
        hnca.Network({"low": low, "high": high}, inputs={"image": 2})

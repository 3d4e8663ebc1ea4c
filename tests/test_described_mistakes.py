"""Wrong data of described networks: weights of other axes, temperatures under `jax.jit`, no examples."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from described_slips import KEY, F, network, trace

import hnca
from hnca import Categorical, Free, Function, Network, Weighted

pytestmark = pytest.mark.usefixtures("quick_compilation")


def test_a_weight_of_other_axes_is_refused():
    with pytest.raises(ValueError, match=r"weight has shape \(3,\); expected \(\), one for all, or \(2, 3\)"):
        hnca.HNCA()(network(), Weighted(F, jnp.ones(3)), trace(2, 3))


def test_weights_of_every_example_are_taken_in_one_pass_and_in_several():
    weight = jnp.arange(6.0).reshape(2, 3)
    for estimator in (hnca.HNCA(), hnca.DisARM()):
        one = estimator(network(), F, trace(2, 3), key=KEY)
        found = estimator(network(), Weighted(F, weight), trace(2, 3), key=KEY)
        np.testing.assert_allclose(found.value, weight * one.value, rtol=1e-6)


@pytest.mark.parametrize(
    "estimator", [hnca.GumbelSoftmax, hnca.StraightThroughGumbelSoftmax, hnca.GumbelRao, hnca.GappedStraightThrough]
)
def test_a_temperature_that_passes_0_under_jit_makes_no_number(estimator):
    units = Network({"z": Categorical(Free(3))})

    @jax.jit
    def gradient(temperature):
        values = estimator(temperature=temperature)
        objective = Function(lambda z: z[0] + 2 * z[1] ** 2, of="z")
        found = hnca.estimate(values, units, objective, {}, key=KEY, batch_shape=(2,))[1]
        return found.gradient.layers["z"].conditional.bias

    with jax.debug_nans(True):
        assert jnp.all(jnp.isfinite(gradient(jnp.asarray(0.5))))
    for temperature in (0.0, -1.0, jnp.nan, jnp.inf):
        assert jnp.all(jnp.isnan(gradient(jnp.asarray(temperature))))


def test_an_empty_batch_is_warned_of():
    with pytest.warns(UserWarning, match="the batch has no examples") as told:
        hnca.estimate(hnca.HNCA(), network(), F, {"x": jnp.ones((0, 2))}, key=KEY)
    assert re.search(r"test_described_mistakes", told[0].filename)

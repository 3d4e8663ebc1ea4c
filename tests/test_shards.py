"""Programs on arrays that are divided over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

MESH = jax.make_mesh((1,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
WHOLE, PART = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("devices")
pytestmark = pytest.mark.usefixtures("quick_compilation")


def loss(w, key, x):
    return jnp.sum(hnca.bernoulli(key, w * x)) ** 2


def given():
    return jnp.arange(3.0), jax.random.split(jax.random.key(0), 4), jnp.ones((4, 3))


def divided(**options):
    def step(w, keys, x):
        both = hnca.value_and_grad(loss, in_axes=(None, 0, 0))(w, keys, x)
        return jax.tree.map(lambda a: jax.lax.pmean(a, "devices"), both)

    return jax.jit(jax.shard_map(step, mesh=MESH, in_specs=(WHOLE, PART, PART), out_specs=WHOLE, **options))


def test_each_device_has_its_own_examples():
    whole = hnca.value_and_grad(loss, in_axes=(None, 0, 0))(*given())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), divided(check_vma=False)(*given()), whole)


def test_jax_s_account_of_what_varies_is_refused_with_its_cure():
    with pytest.raises(ValueError, match=r"loss: .* over the devices of axis devices .*check_vma=False"):
        divided()(*given())


def test_a_part_that_is_divided_is_taken_as_it_is():
    def by_shards(w, key, x):
        scaled = jax.shard_map(lambda a, b: a * b, mesh=MESH, in_specs=WHOLE, out_specs=WHOLE)(w, x)
        units = hnca.bernoulli(key, scaled)
        shared = jax.shard_map(lambda a: jax.lax.psum(a, "devices"), mesh=MESH, in_specs=PART, out_specs=WHOLE)(units)
        return jnp.sum(jax.shard_map(lambda a: a**2, mesh=MESH, in_specs=WHOLE, out_specs=WHOLE)(shared) * w) ** 2

    def alone(w, key, x):
        return jnp.sum(hnca.bernoulli(key, w * x) ** 2 * w) ** 2

    w, keys, x = given()
    found, expected = (jax.jit(hnca.grad(f))(w, keys[0], x[0]) for f in (by_shards, alone))
    np.testing.assert_allclose(found, expected, rtol=1e-5)

"""What a module changes in itself while it is called, running statistics and counts, is never lost in silence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEY, XS = jax.random.key(0), jnp.arange(8.0).reshape(4, 2)
OF_BATCH = {"in_axes": (None, None, 0), "whole_batch": True}


@pytest.fixture(autouse=True)
def as_flax_promotes():
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Body(nnx.Module):
    def __init__(self):
        rngs = nnx.Rngs(0)
        self.linear, self.norm = nnx.Linear(2, 3, rngs=rngs), nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def normalised(self, x):
        return self.norm(self.linear(x))

    def dropped(self, x):
        return self.dropout(self.linear(x))


def cost(key, logits):
    return jnp.mean((hnca.bernoulli(key, logits) - 0.3) ** 2)


def normalised(body, key, x):
    return cost(key, body.normalised(x))


def dropped(body, key, x):
    return cost(key, body.dropped(x))


def with_statistics(body, key, xs):
    return cost(key, body.normalised(xs)), nnx.state(body, nnx.BatchStat)


@pytest.mark.parametrize(
    ("function", "keys", "options", "named"),
    [
        (normalised, KEY, OF_BATCH, r"argument 0\.norm\.mean\.value and more"),
        (normalised, KEY, {}, r"argument 0\.norm"),
        (normalised, jax.random.split(KEY, 4), {"in_axes": (None, 0, 0), "unroll": False}, r"argument 0\.norm"),
        (dropped, jax.random.split(KEY, 4), {"in_axes": (None, 0, 0)}, r"argument 0\.dropout\.rngs\.count"),
    ],
)
def test_a_module_that_changes_is_refused(function, keys, options, named):
    expected = rf"{function.__name__}: the function changes {named}.* would be lost.*use_running_average=True"
    with pytest.raises(ValueError, match=expected):
        nnx.value_and_grad(hnca.credited(function, **options))(Body(), keys, XS)
    with pytest.raises(ValueError, match=expected):
        hnca.value_and_grad(function, **options)(Body(), keys, XS)


def test_in_pieces_it_is_refused_as_well():
    graph, state = nnx.split(Body())
    with pytest.raises(ValueError, match=r"changes argument 0\['norm'\]\['mean'\]"):
        hnca.grad(lambda state, key, xs: normalised(nnx.merge(graph, state), key, xs), **OF_BATCH)(state, KEY, XS)


def test_what_is_returned_is_not_lost():
    body, by_flax = Body(), Body()
    scalar = hnca.credited(with_statistics, has_aux=True, **OF_BATCH)
    (_, statistics), _ = nnx.value_and_grad(scalar, has_aux=True)(body, KEY, XS)
    nnx.update(body, statistics)
    by_flax.normalised(XS)
    for name in ("mean", "var"):
        found, expected = (getattr(each.norm, name)[...] for each in (body, by_flax))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert np.any(expected != getattr(Body().norm, name)[...])


def test_what_changes_nothing_is_taken():
    def loss(body, key, x):
        first, second = jax.random.split(key)
        logits = body.dropout(body.norm(body.linear(x), use_running_average=True), rngs=nnx.Rngs(first))
        return cost(second, logits)

    keys = jax.random.split(KEY, 4)
    first, second = (hnca.value_and_grad(loss, in_axes=(None, 0, 0))(Body(), k, XS)[0] for k in (keys, keys[::-1]))
    assert first != second


def test_a_dict_is_anybodys_to_change():
    def loss(params, key):
        params["logits"] = 2 * params["logits"]
        return jnp.sum(hnca.bernoulli(key, params["logits"]))

    gradient = hnca.grad(loss)({"logits": jnp.zeros(3)}, KEY)
    np.testing.assert_allclose(gradient["logits"], 0.5 * np.ones(3), rtol=1e-5)

"""What a layer outside the network can give a probability to: anything else is refused, or NaN under `jit`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

KEYS = jax.random.split(jax.random.key(0), 6)
BATCH = 4


def dense(parent, size, units, **options):
    return hnca.Dense(parent, size, units, key=KEYS[0], **options)


def encoder(code=None, inputs=None):
    code = hnca.Bernoulli(dense("x", 3, 2)) if code is None else code
    return hnca.Network({"code": code}, inputs={"x": 3, **(inputs or {})})


def categorical(categories=2, embedding=None):
    return hnca.Categorical(dense("x", 3, 2 * categories), categories, embedding)


PRIORS = {
    r"scores 'code' is Bernoulli with values \(0.0, 1.0\); .* \(-1.0, 1.0\)": (
        hnca.Bernoulli(dense("x", 3, 2), (-1, 1)),
        hnca.Bernoulli(hnca.Free(2)),
    ),
    "is Categorical with 3 categories.*expected its family, Categorical with 2": (
        categorical(2),
        hnca.Categorical(hnca.Free(6), 3),
    ),
    "is Categorical with 2 categories.*expected its family, Bernoulli": (
        hnca.Bernoulli(dense("x", 3, 2)),
        hnca.Categorical(hnca.Free(4), 2),
    ),
    "has 3 units; expected its 2 units": (hnca.Bernoulli(dense("x", 3, 2)), hnca.Bernoulli(hnca.Free(3))),
    "that scores 'code' has an embedding, which nothing would read": (
        categorical(2),
        hnca.Categorical(hnca.Free(4), 2, jnp.ones((2, 1))),
    ),
    "encoder's layer 'code' has an embedding": (categorical(2, jnp.ones((2, 1))), hnca.Categorical(hnca.Free(4), 2)),
}


@pytest.mark.parametrize("message", PRIORS)
def test_a_latent_of_another_family_is_refused(message):
    """By the ELBO when it is built, and by a LogProb alone when it meets the network."""
    code, prior = PRIORS[message]
    network = encoder(code)
    decoder = {"code": prior, "x": hnca.Bernoulli(dense("code", prior.features, 3))}
    with pytest.raises(ValueError, match=message):
        hnca.ELBO(network, hnca.Network(decoder))
    if not message.startswith("encoder"):
        with pytest.raises(ValueError, match=message):
            hnca.LogProb(prior, "code").value(network, network.sample(KEYS[1], {"x": jnp.ones((BATCH, 3))}))


def test_inputs_are_scored_by_as_many_units_as_they_have_numbers():
    network = encoder(inputs={"picture": (2, 2)})
    batch = {"x": jnp.ones((BATCH, 3)), "picture": jnp.eye(2)[None].repeat(BATCH, axis=0)}
    trace = network.sample(KEYS[1], batch)
    with pytest.raises(ValueError, match=r"scores 'picture' has 2 units; expected its 4 numbers \(shape \(2, 2\)\)"):
        hnca.LogProb(hnca.Bernoulli(dense("code", 2, 2)), "picture", inputs=("picture",)).value(network, trace)
    four = hnca.Bernoulli(dense("code", 2, 4))
    found = hnca.LogProb(four, "picture", inputs=("picture",)).value(network, trace)
    logits = four.logits((trace["code"],), (BATCH,))
    expected = jnp.sum(four.log_prob(logits, batch["picture"].reshape(BATCH, 4)), axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="value='pictures'; expected a layer or an input of the network"):
        hnca.LogProb(four, "pictures", inputs=("pictures",)).value(network, trace)


def scored(family, data):
    """Returns the estimate, by a function of the data that can be compiled, of what is scored by the family."""
    shape = data.shape[1:]
    network = encoder(inputs={"y": shape})
    objective = hnca.LogProb(family, "y", inputs=("y",))
    trace = network.sample(KEYS[1], {"x": jnp.ones((BATCH, 3)), "y": data})

    def estimate(data):
        return hnca.HNCA()(network, objective, network.evaluate({**trace.values, "y": data}, (BATCH,)))

    return estimate


CLASSES = hnca.Categorical(dense("code", 2, 3))
PIXELS, SIGNS = (hnca.Bernoulli(dense("code", 2, 2), values) for values in ((0, 1), (-1, 1)))
IMPOSSIBLE = {
    "labels from 1": (CLASSES, jnp.array([0, 1, 2, 3])),
    "negative labels": (CLASSES, jnp.array([0, 1, 2, -1])),
    "labels between": (CLASSES, jnp.array([0.0, 1.0, 2.0, 1.5])),
    "pixels to 255": (PIXELS, jnp.array([[0, 1], [1, 1], [0, 0], [255, 0]], jnp.uint8)),
    "bits for signs": (PIXELS, jnp.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])),
    "not a number": (PIXELS, jnp.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [jnp.nan, 1.0]])),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_data_that_cannot_be_scored_is_an_error_or_not_a_number(name):
    family, data = IMPOSSIBLE[name]
    estimate = scored(family, data)
    with pytest.raises(ValueError, match=r"log p\(y \| code\): the values are .*; expected what (Cate|Bern)"):
        estimate(data)
    found = jax.jit(estimate)(data)
    np.testing.assert_array_equal(jnp.isnan(found.value), [False, False, False, True])
    for wrong in (found.credits["code"][3], *jax.tree.leaves((found.gradient, found.objective_gradient))):
        assert bool(jnp.all(jnp.isnan(wrong)))


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32", "bool"])
@pytest.mark.parametrize("family", [CLASSES, PIXELS, SIGNS], ids=["classes", "pixels", "signs"])
@pytest.mark.sweep
def test_data_that_can_be_scored_is_scored_whatever_its_dtype(family, dtype):
    if family is SIGNS and dtype in ("uint8", "bool"):
        return
    values = jnp.array([0, 1, 1, 0]) if family is CLASSES else jnp.array([[0, 1], [1, 0], [1, 1], [1, 0]])
    values = 2 * values - 1 if family is SIGNS else values
    data = values.astype(dtype)
    found = jax.jit(scored(family, data))(data)
    exact = scored(family, values)(values)
    np.testing.assert_allclose(found.value, exact.value, rtol=1e-6)
    np.testing.assert_allclose(found.credits["code"], exact.credits["code"], rtol=1e-5, atol=1e-7)

"""The objective of the page on NumPyro: its gradient is that of the sum over all values of all sites."""

import itertools
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer.util import log_density

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

XS = jnp.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
SHAPES = {"first": (3, 2), "second": (2, 3), "prior": (2,), "mix": (2, 3), "weights": (2, 3), "shift": (3, 3)}


@pytest.fixture(autouse=True)
def as_a_user_would():
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def page():
    text = (Path(__file__).parent.parent / "docs" / "how-to" / "numpyro.md").read_text()
    names = {"__name__": "page"}
    exec(re.search(r"```python\n(.*?)```", text, flags=re.DOTALL).group(1), names)
    return names


def parameters():
    keys = jax.random.split(jax.random.key(3), len(SHAPES))
    drawn = {name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, SHAPES.items(), strict=True)}
    # Zeros are where NumPyro's own log-probability has another slope.
    return {**drawn, "bias": jnp.zeros(3)}


def read():
    return {name: numpyro.param(name, value) for name, value in parameters().items()}


def model(xs):
    p = read()
    with numpyro.plate("examples", len(xs)):
        a = numpyro.sample("a", dist.Bernoulli(logits=p["prior"]).to_event(1))
        k = numpyro.sample("k", dist.Categorical(logits=a @ p["mix"]))
        logits = a @ p["weights"] + (k[:, None] > 0) * p["shift"][k] + p["bias"]
        numpyro.sample("x", dist.Bernoulli(logits=logits).to_event(1), obs=xs)


def guide(xs):
    p = read()
    with numpyro.plate("examples", len(xs)):
        a = numpyro.sample("a", dist.Bernoulli(probs=jax.nn.sigmoid(xs @ p["first"])).to_event(1))
        numpyro.sample("k", dist.Categorical(logits=a @ p["second"]))


def log_bernoulli(logits, value):
    return jnp.sum(value * jax.nn.log_sigmoid(logits) + (1 - value) * jax.nn.log_sigmoid(-logits))


def negative_elbo(p, xs=XS):
    """The sum over examples and values, which asks neither NumPyro nor hnca."""
    total = 0.0
    for x, bits, k in itertools.product(xs, itertools.product([0.0, 1.0], repeat=2), range(3)):
        a = jnp.array(bits)
        log_q = log_bernoulli(x @ p["first"], a) + jax.nn.log_softmax(a @ p["second"])[k]
        logits = a @ p["weights"] + (k > 0) * p["shift"][k] + p["bias"]
        log_p = log_bernoulli(p["prior"], a) + jax.nn.log_softmax(a @ p["mix"])[k] + log_bernoulli(logits, x)
        total += jnp.exp(log_q) * (log_q - log_p)
    return total


@pytest.mark.parametrize("estimator", [hnca.HNCA(), hnca.LeaveOneOut()], ids=lambda e: type(e).__name__)
def test_the_objective_for_svi_is_unbiased(estimator, page):
    # 8000 keys; a z-test of every element at level 1e-6.
    objective = page["CreditedELBO"](estimator)

    def loss(p, key):
        return objective.loss_with_mutable_state(key, p, model, guide, XS)["loss"]

    keys = jax.random.split(jax.random.key(9), 8000)
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(loss), (None, 0)))(parameters(), keys)
    value, gradient = jax.value_and_grad(negative_elbo)(parameters())
    found, truth = jax.tree.leaves((values, gradients)), jax.tree.leaves((value, gradient))
    for some, exact in zip(found, truth, strict=True):
        error = jnp.std(some, axis=0) / len(keys) ** 0.5
        np.testing.assert_array_less(abs(jnp.mean(some, axis=0) - exact), 4.9 * error + 1e-5)


def test_a_credited_guide_is_exact_by_enumeration(page, float64):
    p = parameters()

    def loss(p, key, x):
        return page["negative_elbo"](model, guide, {}, p, key, (x[None],))

    found = hnca.check_unbiased(loss, (p, jax.random.key(0), XS[0]))
    assert found.error < 1e-12
    exact = jax.grad(negative_elbo)(p, XS[:1])
    for some, truth in zip(jax.tree.leaves(found.gradient), jax.tree.leaves(exact), strict=True):
        np.testing.assert_allclose(some, truth, atol=1e-10)


def test_a_guide_that_numpyro_draws_is_told(page):
    def loss(p, key, x):
        log_q, _ = log_density(numpyro.handlers.seed(guide, key), (x[None],), {}, p)
        return log_q

    with pytest.raises(ValueError, match=r"has no draws in it; .* drawn otherwise at"):
        hnca.grad(loss)(parameters(), jax.random.key(0), XS[0])


@pytest.mark.parametrize("law", [dist.Bernoulli, dist.Categorical])
def test_a_site_has_the_samples_that_it_asks_for(law, page):
    logits = jnp.array([[0.5, -1.0], [0.2, 1.5]])

    def several():
        return numpyro.sample("z", law(logits=logits), sample_shape=(3,))

    log_q, trace = log_density(page["CreditedDraws"](numpyro.handlers.seed(several, jax.random.key(0))), (), {}, {})
    values = trace["z"]["value"]
    assert values.shape == (3, *law(logits=logits).shape())
    by_numpyro, _ = log_density(several, (), {}, {"z": values})
    np.testing.assert_allclose(log_q, by_numpyro, rtol=1e-6)

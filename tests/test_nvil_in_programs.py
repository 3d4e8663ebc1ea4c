"""NVIL's scale in a program: one for all of its gradient, whatever of it comes by the draws and whatever directly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("float64", "quick_compilation")
REWARDS = jnp.array([20.0, 0.0, -20.0])
PAIRS = [(first, second) for first in range(3) for second in range(2)]


def own_entropies(w, z, y):
    """What two draws get, and an entropy bonus of each, as the library has it."""
    bonus = hnca.entropy(w["a"], categorical=True) + hnca.entropy(w["b"] * z.astype(float) - 0.3)
    return -REWARDS.astype(float)[z] * (1.0 + y) - 15.0 * bonus


def by_hand(w, z, y):
    """The same with entropies that are no draw's to the library; and a penalty that reads no draw."""
    p, q = jax.nn.softmax(w["a"]), jax.nn.sigmoid(w["b"] * z.astype(float) - 0.3)
    bonus = -jnp.sum(p * jnp.log(p)) - q * jnp.log(q) - (1 - q) * jnp.log(1 - q)
    return -REWARDS.astype(float)[z] * (1.0 + y) - 15.0 * bonus + 3.0 * jnp.sum(w["a"] ** 2)


def drawn(value):
    """Returns the program: two draws, the second of which reads the first, given what they took."""

    def loss(w, first, second):
        z = hnca.categorical(None, w["a"], given=first)
        return value(w, z, hnca.bernoulli(None, w["b"] * z.astype(float) - 0.3, given=second))

    return loss


def joint(w, first, second):
    logit = w["b"] * first - 0.3
    return jax.nn.softmax(w["a"])[first] * (jax.nn.sigmoid(logit) if second else jax.nn.sigmoid(-logit))


def expected_of(value, w):
    """The true gradient, by enumeration."""

    def expectation(w):
        return sum(joint(w, i, j) * value(w, jnp.asarray(i), jnp.asarray(float(j))) for i, j in PAIRS)

    return jax.grad(expectation)(w)


@pytest.mark.parametrize("value", [own_entropies, by_hand])
@pytest.mark.sweep
def test_the_scale_turns_no_gradient(value):
    w = {"a": jnp.array([0.5, 1.0, -0.3]), "b": jnp.asarray(0.4)}
    both = hnca.value_and_grad(drawn(value), estimator=hnca.NVIL(), stateful=True)
    variances = iter([100.0, 400.0])
    state = both.init(w, jnp.asarray(0), jnp.asarray(1.0))
    state = {name: signal._replace(variance=jnp.asarray(next(variances))) for name, signal in state.items()}
    found = jax.tree.map(jnp.zeros_like, w)
    for first, second in PAIRS:
        taken = jnp.asarray(first), jnp.asarray(float(second))
        (result, _), gradient = both(w, *taken, estimator_state=state)
        np.testing.assert_allclose(result, value(w, *taken), rtol=1e-12)
        share = joint(w, first, second)
        found = jax.tree.map(lambda a, g, share=share: a + share * g, found, gradient)
    for name, exact in expected_of(value, w).items():
        np.testing.assert_allclose(found[name], exact / 20.0, rtol=1e-10, atol=1e-12, err_msg=name)


def test_the_whole_batch_has_the_same():
    xs, key = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3), jax.random.key(0)

    def loss(w, key, xs):
        logits = xs @ w
        return jnp.mean(30.0 * hnca.bernoulli(key, logits)) - jnp.mean(hnca.entropy(logits))

    w = jnp.array([0.3, -0.2, 0.5])
    gradients = {}
    for estimator in (hnca.NVIL(), hnca.NVIL(normalise=False)):
        both = hnca.value_and_grad(loss, estimator=estimator, stateful=True, whole_batch=True, in_axes=(None, None, 0))
        state = {n: s._replace(variance=jnp.asarray(25.0)) for n, s in both.init(w, key, xs).items()}
        gradients[estimator.normalise] = both(w, key, xs, estimator_state=state)[1]
    np.testing.assert_allclose(gradients[True], gradients[False] / 5.0, rtol=1e-10)

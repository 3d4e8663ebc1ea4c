"""Policy gradients, ratios and likelihoods written by hand beside a draw are warned of; rewards and bounds are not."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import hnca
from hnca import bernoulli, categorical, log_prob, observed

KEY = jax.random.key(0)
ACTION, REWARD, OLD = jnp.asarray(1), jnp.asarray(5.0), jnp.asarray(-0.3)


def told_of(loss, way):
    """Returns what is warned of."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        jax.eval_shape(hnca.grad(loss, **way), jnp.array([2.0, -1.0]))
    return [str(each.message) for each in told]


def given(logits):
    return categorical(None, logits, given=ACTION)


def bits(logits):
    return bernoulli(None, logits, given=jnp.array([1.0, 0.0]))


def rewarded(action):
    return observed(REWARD + 0.0 * action.astype(float))


def clipped(q):
    ratio = jnp.exp(log_prob(q, given(q)) - OLD)
    return jnp.minimum(ratio * REWARD, jnp.clip(ratio, 0.8, 1.2) * REWARD)


def weighted(q):
    ratio = jax.lax.stop_gradient(jnp.exp(log_prob(q, ACTION) - OLD))
    return observed(ratio * REWARD + 0.0 * given(q).astype(float))


def steps(of_step):
    def loss(q):
        def step(total, action):
            logits = 2.0 * q
            return total + of_step(logits, categorical(None, logits, given=action)), None

        return jax.lax.scan(step, 0.0, jnp.arange(2))[0]

    return loss


BY_HAND = {
    "log pi times a return": lambda q: log_prob(q, given(q)) * REWARD,
    "times an observed one": lambda q: (lambda z: log_prob(q, z) * rewarded(z))(given(q)),
    "of what is drawn": lambda q: (lambda z: log_prob(q, z) * rewarded(z))(categorical(KEY, q)),
    "a ratio": lambda q: jnp.exp(log_prob(q, given(q)) - OLD) * REWARD,
    "a clipped ratio": clipped,
    "a cross-entropy": lambda q: -optax.softmax_cross_entropy_with_integer_labels(q, given(q)),
    "one-hot": lambda q: jnp.sum(jax.nn.one_hot(given(q), 2) * jax.nn.log_softmax(q)) * REWARD,
    "bits": lambda q: jnp.sum(log_prob(q, bits(q))) * REWARD,
    "a cross-entropy of bits": lambda q: -jnp.sum(optax.sigmoid_binary_cross_entropy(q, bits(q))),
    "steps": steps(lambda q, z: log_prob(q, z) * REWARD),
}
OTHERS = {
    "a reward": lambda q: rewarded(given(q)),
    "with entropy": lambda q: rewarded(given(q)) + 0.1 * hnca.entropy(q, categorical=True),
    "with sampled entropy": lambda q: (lambda z: rewarded(z) - 0.1 * log_prob(q, z))(given(q)),
    "weighted": weighted,
    "a known value": lambda q: jnp.array([1.0, 2.0])[given(q)],
    "a bound": lambda q: (lambda z: -((z.astype(float) - 1.3) ** 2) - log_prob(q, z))(given(q)),
    "another draw's logits": lambda q: rewarded(categorical(None, q * given(q).astype(float), given=ACTION)),
    "a branch": lambda q: jax.lax.cond(q[0] > 0, rewarded, lambda z: z.astype(float), given(q)),
    "a choice": lambda q: rewarded(jnp.where(q[0] > 0, given(q), 0)),
    "an entropy of what is drawn": lambda q: -log_prob(q, categorical(KEY, q)),
    "steps": steps(lambda _, z: rewarded(z)),
}
WAYS = {"written out": {}, "as loops": {"unroll": False, "estimator": hnca.REINFORCE()}}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", BY_HAND)
def test_a_score_by_hand_is_warned_of(name, way):
    told = told_of(BY_HAND[name], WAYS[way])
    assert told
    assert all("by way of its own logits alone, at " in each and "test_scores_by_hand.py" in each for each in told)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OTHERS)
def test_and_nothing_else_is(name, way):
    assert not told_of(OTHERS[name], WAYS[way])


def test_stored_actions_of_another_policy_are_weighted_by_a_stopped_ratio():
    """As the documents have it, by the sum over actions: exact, and twice as much without the stop."""
    q, behaviour, rewards = jnp.array([0.4, -0.3, 0.1]), jnp.array([0.2, 0.5, 0.3]), jnp.array([1.0, -2.0, 0.5])

    def loss(q, action, stop):
        ratio = jnp.exp(log_prob(q, action) - jnp.log(behaviour)[action])
        ratio = jax.lax.stop_gradient(ratio) if stop else ratio
        return observed(ratio * rewards[action] + 0.0 * categorical(None, q, given=action).astype(float))

    truth = jax.grad(lambda q: jnp.sum(jax.nn.softmax(q) * rewards))(q)
    for stop, times in ((True, 1), (False, 2)):
        found = [hnca.grad(lambda q, a: loss(q, a, stop))(q, jnp.asarray(a)) for a in range(3)]  # noqa: B023
        np.testing.assert_allclose(sum(p * g for p, g in zip(behaviour, found, strict=True)), times * truth, atol=1e-6)


def test_a_batch_of_one_key_is_warned_of():
    def loss(w, key):
        return jnp.sum(bernoulli(key, w)) ** 2

    of_batch = hnca.value_and_grad(loss, in_axes=(None, 0))
    with pytest.warns(UserWarning, match="all 8 keys of the batch are one"):
        of_batch(jnp.zeros(2), jnp.broadcast_to(KEY, (8,)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for keys in (jax.random.split(KEY, 8), jax.random.split(KEY, 1)):
            of_batch(jnp.zeros(2), keys)
        several = hnca.value_and_grad(lambda w, keys: loss(w, keys[0]) + loss(w, keys[1]), in_axes=(None, 0))
        several(jnp.zeros(2), jax.random.split(KEY, (1, 2)))
        jax.jit(of_batch)(jnp.zeros(2), jnp.broadcast_to(KEY, (8,)))

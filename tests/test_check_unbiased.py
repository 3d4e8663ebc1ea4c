"""What `check_unbiased` says where the exact gradient is 0, or no number."""

import jax
import jax.numpy as jnp
import pytest

import hnca

KEY = jax.random.key(0)


def same_whatever_is_drawn(p, key):
    """A reward that rounding alone makes differ from state to state, as of an agent that never meets its goal."""
    first, second = jax.random.split(key)
    a = hnca.bernoulli(first, p * 0.3)
    b = hnca.bernoulli(second, p * a + 0.1)
    reward = jnp.where(a == b, -0.01, -0.01)
    return reward * 0.97 + 0.97 * 0.97 * reward + 1e-7 * (a + b - a - b)


def even_at_zero(p, key):
    unit = hnca.bernoulli(key, p)
    return jnp.cos(3.0 * p) * (unit - 0.5) ** 2


@pytest.mark.parametrize("loss", [same_whatever_is_drawn, even_at_zero])
@pytest.mark.parametrize(("estimator", "bits"), [(hnca.HNCA(), 32), (hnca.REINFORCE(), 64)])
@pytest.mark.sweep
def test_a_gradient_of_zero_is_no_bias(loss, estimator, bits):
    with jax.enable_x64(bits == 64):
        p = jnp.asarray(0.7 if loss is same_whatever_is_drawn else 0.0)
        assert abs(hnca.check_unbiased(loss, (p, KEY), estimator=estimator).gradient) < 1e-6


def test_a_bias_is_found_where_the_gradient_is_zero():
    def loss(p, key):
        first, second = jax.random.split(key)
        return (hnca.bernoulli(first, p) - hnca.bernoulli(second, -p)) ** 2 + 2 * jax.nn.sigmoid(p) * (
            1 - jax.nn.sigmoid(p)
        )

    assert abs(hnca.check_unbiased(loss, (jnp.asarray(0.7), KEY)).gradient) < 1e-6
    with pytest.raises(ValueError, match="StraightThrough's expected gradient is off by"):
        hnca.check_unbiased(loss, (jnp.asarray(0.7), KEY), estimator=hnca.StraightThrough())


def test_what_is_not_finite_is_named():
    def loss(p, key):
        """A category that never is, written so that its derivative is 0 times infinity."""
        logits = jnp.log(jnp.stack([1 - p["rate"], p["rate"], 0 * p["rate"]]))
        return hnca.categorical(key, logits).astype(logits.dtype) * p["scale"]

    with pytest.raises(ValueError, match=r"the exact gradient is not finite for the argument's leaf \['rate'\]"):
        hnca.check_unbiased(loss, ({"rate": jnp.asarray(0.3), "scale": jnp.asarray(2.0)}, KEY))

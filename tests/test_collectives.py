"""Programs along an axis outside of them, whose members can be mixed, and one of which a program is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hnca

pytestmark = pytest.mark.usefixtures("quick_compilation")

W, KEYS = jnp.asarray([0.3, -0.4]), jax.random.split(jax.random.key(0), 2)
TO_THE_OTHER = [(0, 1), (1, 0)]


def along(loss, **options):
    return jax.jit(jax.vmap(hnca.grad(loss, **options), in_axes=(None, 0), axis_name="lanes"))(W, KEYS)


def in_steps(of_step):
    """Returns a loss of a scan whose carried state is made of what was drawn by a function."""

    def loss(w, key):
        def step(state, key):
            state = of_step(state + jnp.sum(hnca.bernoulli(key, w * state)))
            return state, jnp.tanh(state)

        return jnp.sum(jax.lax.scan(step, 0.5, jax.random.split(key, 3))[1])

    return loss


def shuffled_in_a_loop(drawn):
    def step(total, _):
        return total + jax.lax.ppermute(jnp.sum(drawn), "lanes", TO_THE_OTHER), None

    return jax.lax.scan(step, 0.0, None, length=2)[0]


MIXED = {
    "a mean": lambda drawn: jnp.sum((drawn - jax.lax.pmean(drawn, "lanes")) ** 2),
    "the largest": lambda drawn: jnp.sum(jax.lax.pmax(drawn, "lanes") * drawn),
    "all": lambda drawn: jnp.sum(jax.lax.all_gather(drawn, "lanes")),
    "another's": lambda drawn: jnp.sum(drawn * jax.lax.ppermute(drawn, "lanes", TO_THE_OTHER)),
    "a share": lambda drawn: jnp.sum(jax.lax.psum_scatter(drawn, "lanes")),
    "exchanged": lambda drawn: jnp.sum(jax.lax.all_to_all(drawn, "lanes", 0, 0)),
    "in a call": lambda drawn: jax.jit(jax.checkpoint(lambda a: jnp.sum(jax.lax.psum(a, "lanes"))))(drawn),
    "in a loop": shuffled_in_a_loop,
    "in a branch": lambda drawn: jax.lax.cond(W[0] > 0, lambda a: jnp.sum(jax.lax.psum(a, "lanes")), jnp.sum, drawn),
    "a reward": lambda drawn: hnca.observed(jax.lax.pmean(jnp.sum(drawn), "lanes")),
}


@pytest.mark.parametrize("name", MIXED)
def test_what_is_drawn_is_not_mixed_with_what_others_draw(name):
    with pytest.raises(ValueError, match=r"over the axis 'lanes' at .*test_collectives.py:\d+.* reads what is drawn"):
        along(lambda w, key: MIXED[name](hnca.bernoulli(key, w)))


@pytest.mark.parametrize("unroll", [True, False])
def test_nor_in_the_steps_of_a_loop(unroll):
    with pytest.raises(ValueError, match=r"psum over the axis 'lanes' at .* reads what is drawn"):
        along(in_steps(lambda state: jax.lax.pmean(state, "lanes")), unroll=unroll)


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.sweep
def test_what_reads_no_draw_may_be_mixed_and_the_axis_be_known(unroll):
    def by_place(place, mean):
        return in_steps(lambda state: state * mean + jnp.float32(place))

    def of_place(w, key):
        mean = jax.lax.pmean(jnp.float32(jax.lax.axis_index("lanes")) + 1, "lanes")
        return by_place(jax.lax.axis_index("lanes"), mean)(w, key)

    def alone(w, key, place):
        return by_place(place, 1.5)(w, key)

    expected = jax.jit(jax.vmap(hnca.grad(alone, unroll=unroll), in_axes=(None, 0, 0)))(W, KEYS, jnp.arange(2))
    np.testing.assert_allclose(along(of_place, unroll=unroll), expected, rtol=1e-5)


def measured(w, key):
    """A mean for a table, beside the result."""
    drawn = hnca.bernoulli(key, w)
    jax.debug.callback(lambda _: None, jax.lax.pmax(drawn, "lanes"))
    return jnp.sum(drawn), jax.lax.pmean(jnp.sum(drawn), "lanes")


@pytest.mark.thorough
def test_what_is_handed_through_may_be_mixed():
    both = jax.vmap(hnca.grad(measured, has_aux=True), in_axes=(None, 0), axis_name="lanes")
    gradients, means = both(W, KEYS)
    expected = jnp.stack([hnca.grad(lambda w, key: jnp.sum(hnca.bernoulli(key, w)))(W, key) for key in KEYS])
    np.testing.assert_allclose(gradients, expected, rtol=1e-6)
    np.testing.assert_array_equal(means[0], means[1])


@pytest.mark.parametrize("kind", ["checkpoint", "cond", "scan"])
def test_what_is_mixed_beside_draws_may_be(kind):
    def scaled(drawn, w):
        return jnp.sum(drawn) * jax.lax.pmean(jnp.sum(w), "lanes")

    ways = {
        "checkpoint": jax.checkpoint(scaled),
        "cond": lambda drawn, w: jax.lax.cond(w[0] > 0, scaled, lambda drawn, w: jnp.sum(drawn), drawn, w),
        "scan": lambda drawn, w: jax.lax.scan(lambda c, _: (c + scaled(drawn, w), None), 0.0, None, length=2)[0],
    }
    along(lambda w, key: ways[kind](hnca.bernoulli(key, w), w))


def test_an_axis_of_the_program_s_own_is_as_any_other_sum():
    def named(w, key):
        mapped = jax.vmap(lambda unit: (unit - jax.lax.pmean(unit, "units")) ** 2, axis_name="units")
        return jnp.sum(mapped(hnca.bernoulli(key, w)) * jnp.arange(1.0, 3.0))

    def plain(w, key):
        drawn = hnca.bernoulli(key, w)
        return jnp.sum((drawn - jnp.mean(drawn)) ** 2 * jnp.arange(1.0, 3.0))

    np.testing.assert_allclose(hnca.grad(named)(W, KEYS[0]), hnca.grad(plain)(W, KEYS[0]), rtol=1e-5)

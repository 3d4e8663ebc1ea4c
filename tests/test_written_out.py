"""Loops that are written out: what is said of long ones, and how what is done for them grows with their steps."""

import sys

import jax
import jax.numpy as jnp
import pytest

import hnca
from hnca.programs import affordable

P = jnp.array([0.3, 0.2, 0.7])


def episode(steps, recurrent):
    """Returns a function of draws in a loop, each of which reads all before it if `recurrent`, and otherwise none."""

    def of_steps(p, key):
        def step(carried, k):
            state, total = carried
            drawn = hnca.bernoulli(k, p[0] * state + p[1])
            state = jnp.tanh(0.5 * state + p[2] * drawn) if recurrent else state
            return (state, total + (state + 1) * drawn), None

        return jax.lax.scan(step, (jnp.zeros(()), jnp.zeros(())), jax.random.split(key, steps))[0][1]

    return of_steps


def traced(steps, recurrent):
    gradient = hnca.grad(episode(steps, recurrent))
    return jax.make_jaxpr(lambda p, key: gradient(p, key))(P, jax.random.key(0))


def calls(steps, recurrent):
    """Returns how many functions of the library are called while the gradient is traced."""
    count = 0

    def profile(frame, event, _):
        nonlocal count
        count += event == "call" and "hnca" in frame.f_code.co_filename

    sys.setprofile(profile)
    try:
        traced(steps, recurrent)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(("steps", "recurrent", "growth"), [(10, False, 2.3), (5, True, 3.2)])
@pytest.mark.sweep
def test_what_twice_as_many_steps_take(steps, recurrent, growth):
    assert calls(2 * steps, recurrent) < growth * calls(steps, recurrent)


def test_a_long_loop_is_warned_of_before_it_takes_its_time(monkeypatch):
    monkeypatch.setattr(affordable, "MANY_READ", 5)
    with pytest.warns(
        UserWarning, match=r"test_written_out.py:\d+.* is written out, and what its 4 steps.*unroll=False"
    ):
        traced(4, True)
    traced(3, True)
    traced(4, False)


def test_layers_beside_a_short_loop_are_none_of_its(monkeypatch):
    monkeypatch.setattr(affordable, "MANY_READ", 2)

    def loss(w, key):
        keys, below = jax.random.split(key, 5), [w[0]]
        for layer in keys[:3]:
            below.append(hnca.bernoulli(layer, sum(below)))
        return jax.lax.scan(lambda total, k: (total + hnca.bernoulli(k, w[1]), None), sum(below), keys[3:])[0]

    jax.make_jaxpr(lambda p, key: hnca.grad(loss)(p, key))(P, jax.random.key(0))


@pytest.mark.thorough
def test_a_sum_over_many_steps_is_not_taken_apart_by_recursion():
    assert traced(200, False).jaxpr.eqns

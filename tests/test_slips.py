"""Slips in a call: an option of another type, a state of something else, a number where there is none yet."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from slips import KEY, LOGITS, loss

import hnca

NOT_KNOWN = (jax.errors.JAXTypeError, jax.errors.JAXIndexError)


@pytest.mark.parametrize("name", ["slips.py", "described_slips.py", "odd_values.py"])
def test_slips_are_told(name):
    script = Path(__file__).parent / name
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("unroll", [True, False])
@pytest.mark.parametrize(
    "state",
    [{}, {"bernoulli_0": ()}, (jnp.zeros(()), {}), jnp.zeros(3), {"bernoulli_0": ((0.0, 0.0),)}],
    ids=str,
)
def test_a_state_of_something_else_is_refused(state, unroll):
    """A natural empty one would have switched the baseline off for good."""
    both = hnca.value_and_grad(loss, estimator=hnca.HNCA(hnca.RunningMean()), stateful=True, unroll=unroll)
    with pytest.raises(ValueError, match=r"HNCA: state=.*; expected None to begin, or what the last call"):
        jax.eval_shape(both, LOGITS, KEY, estimator_state=state)


def test_a_wrong_state_is_shown_as_what_it_is():
    both = hnca.value_and_grad(loss, estimator=hnca.HNCA(hnca.RunningMean()), stateful=True)
    for state, shown in ((3, "3"), (jnp.zeros(3), r"f32\[3\]"), ("x", "'x'")):
        with pytest.raises(ValueError, match=rf"HNCA: state={shown}; .*total=f32\[\]"):
            jax.eval_shape(lambda logits: both(logits, KEY, estimator_state=state), LOGITS)  # noqa: B023


@pytest.mark.parametrize(
    "use",
    [
        lambda h: 1.0 if h[0] > 0 else 0.0,
        lambda h: float(h[0]),
        lambda h: np.asarray(h)[0],
        lambda h: [1.0, 2.0][h[0].astype(int)],
        lambda h: {0: 1.0, 1: 2.0}[h[0].astype(int)],
    ],
)
def test_what_is_drawn_is_not_known_to_python(use):
    with pytest.raises((TypeError, *NOT_KNOWN)) as caught:
        hnca.grad(lambda p, key: use(hnca.bernoulli(key, p)) * jnp.sum(p))(LOGITS, KEY)
    assert any("choose by jnp.where" in note for note in caught.value.__notes__)


CREDITED = {
    "credited": hnca.credited(loss),
    "grad": hnca.grad(loss),
    "value_and_grad": hnca.value_and_grad(loss),
}


@pytest.mark.parametrize("name", CREDITED)
def test_what_is_credited_is_not_credited_again(name):
    for again in (hnca.credited, hnca.grad, hnca.value_and_grad, hnca.explain):
        with pytest.raises(ValueError, match=rf"hnca\.{again.__name__}: given what hnca has credited already"):
            again(CREDITED[name])
    jax.eval_shape(jax.grad(hnca.credited(loss)), LOGITS, KEY)

"""The registry of slips: an option of another type, a number where there is none. Run alone, it tells of those missed.

Annotations are not checked there, as they are in the tests.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np

import hnca

KEY = jax.random.key(0)
LOGITS = jnp.asarray([0.2, -0.4, 0.7])


def loss(p, key):
    return jnp.sum(hnca.bernoulli(key, p)) ** 2


class Elsewhere:
    """An array of another library."""

    def __dlpack__(self):
        raise NotImplementedError


def spins(p, key):
    return jnp.sum(hnca.log_prob(p, hnca.bernoulli(key, p, values=(-1, 1))))


SLIPS = [
    (
        lambda: hnca.IndependentLeaveOneOut(2.5),
        "IndependentLeaveOneOut: samples=2.5; expected at least 2",
    ),
    (lambda: hnca.VIMCO(float("nan")), "VIMCO: samples=nan; expected at least 2"),
    (lambda: hnca.ARMS("3"), "ARMS: samples='3'; expected at least 2"),
    (lambda: hnca.LeaveOneOutHNCA(2.0), "LeaveOneOutHNCA: samples=2.0; expected at least 2"),
    (lambda: hnca.UnorderedSet(2.0), "UnorderedSet: samples=2.0; expected from 2"),
    (lambda: hnca.GumbelRao(draws=1.5), "GumbelRao: draws=1.5"),
    (lambda: hnca.RODEO(hidden_units=2.5), "RODEO: hidden_units=2.5"),
    (lambda: hnca.RELAX(hidden_units="3"), "RELAX: hidden_units='3'"),
    (lambda: hnca.REBAR(temperature="1"), "REBAR: temperature='1'"),
    (lambda: hnca.GumbelSoftmax("1"), "GumbelSoftmax: temperature='1'"),
    (lambda: hnca.DoubleControlVariates(scale="1"), "DoubleControlVariates: scale='1'"),
    (lambda: hnca.NVIL(decay="a"), "NVIL: decay='a'"),
    (lambda: hnca.RunningMean("a"), "RunningMean: decay='a'"),
    (lambda: hnca.LearnedBaseline(learning_rate="a"), "LearnedBaseline: learning_rate='a'"),
    (lambda: hnca.grad(loss, argnums=1.0), "loss: argnums=1.0; expected the place"),
    (lambda: hnca.grad(loss, argnums=None), "loss: argnums=None; expected the place"),
    (lambda: hnca.bernoulli(KEY, LOGITS, name=3), "bernoulli: name=3; expected a text, such as 'gate', or None"),
    (lambda: hnca.grad(LOGITS), r"hnca\.grad: ArrayImpl given; expected a function, as loss, and not"),
    (lambda: hnca.value_and_grad(LOGITS), r"hnca\.value_and_grad: ArrayImpl given; expected a function, as loss"),
    (lambda: hnca.credited(1.0), r"hnca\.credited: float given; expected a function, as loss"),
    (lambda: hnca.log_prob(LOGITS, LOGITS, categorical=True), r"log_prob: categorical=True for logits of shape \("),
    (lambda: hnca.log_prob(jnp.ones((2, 3)), jnp.zeros(2, int), categorical=False), "log_prob: categorical=False for"),
    (lambda: hnca.grad(loss)(Elsewhere(), KEY), r"argument 0 has no floats .*jnp\.from_dlpack of the \w+\.Elsewhere"),
    (lambda: hnca.explain(LOGITS), "explain: ArrayImpl given; expected a function"),
    (lambda: hnca.check_unbiased(1.0, (LOGITS, KEY)), "check_unbiased: float given; expected a function"),
    (lambda: hnca.grad(loss, unroll=4), "loss: unroll=4; expected True or False"),
    (lambda: hnca.grad(loss, has_aux="no"), "loss: has_aux='no'; expected True or False"),
    (lambda: hnca.grad(loss, whole_batch=None), "loss: whole_batch=None; expected True or False"),
    (lambda: hnca.explain(loss, unroll="no"), "explain: unroll='no'; expected True or False"),
    (lambda: hnca.check_unbiased(loss, (LOGITS, KEY), unroll=0), "check_unbiased: unroll=0; expected True or False"),
    (lambda: hnca.credited(loss, stateful=1), "loss: stateful=1; expected True or False"),
    (lambda: hnca.bernoulli(KEY, LOGITS, values="01"), "bernoulli: values='01'; expected two finite numbers"),
    (lambda: hnca.bernoulli(KEY, LOGITS, values=1), "bernoulli: values=1; expected two finite numbers"),
    (
        lambda: hnca.grad(lambda p, key: jnp.sum(hnca.bernoulli(key, p, values=jnp.array([-1, 1]) * p[0])))(
            LOGITS, KEY
        ),
        "bernoulli: values=.*; expected two finite numbers that are known when the program is traced",
    ),
    (lambda: hnca.grad(loss, whole_batch=True)(LOGITS, KEY), r"in_axes that say which .* such as \(None, None, 0\)"),
    (
        lambda: hnca.grad(loss, whole_batch=True, in_axes=(None, 0))(LOGITS, KEY),
        "expected None for it: with whole_batch=True one key is for all examples",
    ),
    (lambda: hnca.grad(loss, in_axes="batch")(LOGITS, KEY), "in_axes='batch'; expected None, a number"),
    (lambda: hnca.grad(loss, in_axes=(None, 0.0))(LOGITS, KEY), r"in_axes=\(None, 0.0\); expected None"),
    (lambda: hnca.entropy(jnp.arange(3)), "entropy: logits of dtype int32; expected floats"),
    (lambda: hnca.log_prob(LOGITS, -jnp.ones(3)), r"log_prob: value has numbers outside of 0(\.0)? to 1"),
    (lambda: hnca.log_prob(LOGITS, jnp.ones(3), values=(1, -1)), "values"),
    (
        lambda: hnca.grad(spins)(LOGITS, KEY),
        r"scores draw 'bernoulli_0', whose values are \(-1.0, 1.0\), at .*slips",
    ),
]


def missed(slips):
    """Yields a line for every slip of which another thing is told than is expected."""
    for build, message in slips:
        if not re.search(message, told(build)):
            yield f"expected {message!r}, told {told(build)}"


def told(build):
    try:
        build()
    except ValueError as error:
        return str(error)
    except Exception as error:
        return f"a {type(error).__name__}: {error}"
    return "nothing"


if __name__ == "__main__":
    for line in missed(SLIPS):
        print(line)
    np.testing.assert_array_equal(hnca.grad(loss)(LOGITS, KEY), hnca.grad(loss, argnums=np.int64(0))(LOGITS, KEY))

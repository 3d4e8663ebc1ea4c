"""Times the message kernel beside a matrix product of the same shape and the direct log-sigmoid form.

python benchmarks/messages.py [BATCHxPARENTSxCHILDREN ...]
"""

import sys
from functools import partial

import jax
import jax.numpy as jnp
from timing import interleaved_medians

from hnca.messages import product_message

SHAPES = ["50x200x784", "50x200x200", "256x512x512"]


def direct(weight, span, logits, state, above):
    """The log-ratio of every (example, parent, child) by softplus."""
    delta = span * (1 - 2 * above)[:, :, None] * weight[None]
    here = logits[:, None]
    grown = jax.nn.softplus(here + delta) - jax.nn.softplus(here)
    return (1 - 2 * above) * jnp.sum(state[:, None] * delta - grown, axis=-1)


def matrix_product(weight, span, logits, state, above):
    return state @ weight.T


def arguments(batch, parents, children, scale):
    keys = jax.random.split(jax.random.key(0), 4)
    weight = scale * jax.random.normal(keys[0], (parents, children))
    logits = jax.random.normal(keys[1], (batch, children))
    state = jax.random.bernoulli(keys[2], 0.5, (batch, children)).astype(jnp.float32)
    above = jax.random.bernoulli(keys[3], 0.5, (batch, parents)).astype(jnp.float32)
    return weight, 1.0, logits, state, above


def three_seeds(arguments):
    weight, span, *rest = arguments
    weight, *rest = (jnp.stack([a] * 3) for a in (weight, *rest))
    return weight, span, *rest


def main():
    print(f"JAX {jax.__version__}, {jax.devices()[0].device_kind}; medians in ms (ratio to the matrix product)")
    for shape in sys.argv[1:] or SHAPES:
        sizes = [int(size) for size in shape.split("x")]
        usual = arguments(*sizes, scale=0.1)
        calls = {
            "matrix product": partial(jax.jit(matrix_product), *usual),
            "message": partial(jax.jit(product_message), *usual),
            "heavy weights": partial(jax.jit(product_message), *arguments(*sizes, scale=5.0)),
            "enormous weights": partial(jax.jit(product_message), *arguments(*sizes, scale=100.0)),
            "three seeds": partial(jax.jit(jax.vmap(product_message, (0, None, 0, 0, 0))), *three_seeds(usual)),
            "direct": partial(jax.jit(direct), *usual),
        }
        medians = interleaved_medians(calls, repeats=30)
        base = medians["matrix product"]
        print(f"{shape:>14}  " + "  ".join(f"{name} {1e3 * t:.2f} ({t / base:.1f})" for name, t in medians.items()))


if __name__ == "__main__":
    main()

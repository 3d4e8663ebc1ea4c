r"""Messages of categorical children through a dense weight to categorical parents.

Were unit `i` of category `v` to take category `k`, child `j` would have its logit `m` shifted by
`delta_m = W_ikjm - W_ivjm`, so `sum_m p_m exp(delta_m)` is a product of two small tables of exponentials, with no
exponential for an example; the sums of a few children are multiplied and share a logarithm.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hnca._precision import in_full_precision
from hnca.messages.fallback import fast_unless, safe_exponent
from hnca.messages.taken import at_taken, taken_values

_BLOCK = 16
_LARGEST_WEIGHT = 10.0

_Block = tuple[Array, Array]  # log-probabilities [children, categories, batch], weights [.., alternatives, parents]


@in_full_precision
@partial(jax.jit, inline=True)
def categorical_pair_message(
    weight: Float[Array, "parents alternatives children categories"],
    child_logits: Float[Array, "*batch children categories"],
    child_values: Int[Array, "*batch children"],
    parent_values: Int[Array, "*batch parents"],
) -> Float[Array, "*batch parents alternatives"]:
    """Returns `log P(children | unit = k) - log P(children | unit as it is)` for categorical children.

    Costs a multiply-add for every example, parent, alternative, child and category.

    Args:
        weight: from one-hot parent values to child logits.
        child_logits: logits of the children, with all parents as they are.
        child_values: the categories the children have taken.
        parent_values: the categories the parents have taken.

    Source: Young 2022, Eq 2 and Appendix D.
    """
    children, categories = weight.shape[2:]
    taken = taken_values(parent_values, weight)
    chosen = jax.nn.one_hot(child_values, categories, dtype=weight.dtype).reshape(-1, children, categories)
    by_child = jnp.moveaxis(weight, (2, 3, 1, 0), (0, 1, 2, 3))
    linear = jnp.einsum("bjm,jmki->kbi", chosen, by_child)
    linear -= jnp.sum(linear * taken, axis=0)[None]

    def by(way: Callable[[_Block, Array], Array]) -> Callable[[Array, Array, Array], Array]:
        def of(weight: Array, logits: Array, taken: Array) -> Array:
            log_probability = jnp.moveaxis(jax.nn.log_softmax(logits).reshape(-1, children, categories), 0, 2)
            return _sum_over_blocks(way, weight, log_probability, taken)

        return of

    # What the shifts of a block can come to, up or down.
    largest = jnp.max(jnp.abs(by_child), axis=(1, 2, 3))
    growth = 2 * jnp.sum(jax.lax.top_k(largest, min(max(1, _BLOCK // categories), children))[0])
    unsafe = ~((growth <= safe_exponent(weight.dtype)) & (jnp.max(largest) <= _LARGEST_WEIGHT))
    sums = fast_unless(unsafe, by(_log_of_products), by(_sum_of_logs), by_child, child_logits, taken)
    return jnp.moveaxis(linear - sums, 0, -1).reshape(*parent_values.shape, -1)


def _sum_over_blocks(
    log_of_block: Callable[[_Block, Array], Array], weight: Array, log_probability: Array, taken: Array
) -> Array:
    """Returns `sum_j log sum_m p_jm exp(delta_jm)`; the children that fill the last block add nothing."""
    children, categories = weight.shape[:2]
    block = min(max(1, _BLOCK // categories), children)
    missing = -children % block
    certain = jnp.where(jnp.arange(categories) == 0, 0.0, -jnp.inf)[:, None].astype(weight.dtype)
    filling = jnp.broadcast_to(certain, (missing, *log_probability.shape[1:]))
    padded = jnp.concatenate([log_probability, filling]), jnp.pad(weight, ((0, missing), (0, 0), (0, 0), (0, 0)))
    blocks = jax.tree.map(lambda a: a.reshape(-1, block, *a.shape[1:]), padded)

    def add(total: Array, part: _Block) -> tuple[Array, None]:
        return total + log_of_block(part, taken), None

    return jax.lax.scan(add, jnp.zeros_like(taken), blocks)[0]


def _log_of_products(block: _Block, taken: Array) -> Array:
    """The fast way, for moderate weights."""
    log_probability, weight = block
    product = jnp.ones_like(taken)
    for child in range(len(weight)):
        product *= _sum_over_categories(jnp.exp(log_probability[child]), weight[child], taken)
    return jnp.log(product)


def _sum_over_categories(probability: Array, weight: Array, taken: Array) -> Array:
    """Returns `sum_m p_m exp(delta_m)` for one child, a few categories at a time."""
    categories = len(weight)
    block = min(_BLOCK, categories)
    padding = ((0, -categories % block), (0, 0))
    tables = jnp.pad(jnp.exp(weight), (*padding, (0, 0))), jnp.pad(jnp.exp(-weight), (*padding, (0, 0)))
    parts = jnp.pad(probability, padding), *tables
    blocks = jax.tree.map(lambda a: a.reshape(-1, block, *a.shape[1:]), parts)

    def add(total: Array, part: tuple[Array, Array, Array]) -> tuple[Array, None]:
        p, there, back = part
        # Kept apart, or the compiler would compute it anew for every alternative.
        scaled = jax.lax.optimization_barrier(p[:, :, None] * at_taken(taken, back))
        for category in range(block):
            total += scaled[category][None] * there[category][:, None]
        return total, None

    return jax.lax.scan(add, jnp.zeros_like(taken), blocks)[0]


def _sum_of_logs(block: _Block, taken: Array) -> Array:
    """The way for weights of any size: a running log of a sum of exponentials."""

    def add_child(total: Array, child: _Block) -> tuple[Array, None]:
        log_probability, weight = child

        def add(log_sum: Array, category: tuple[Array, Array]) -> tuple[Array, None]:
            log_p, there = category
            # By `at_taken`, since jaxlib 0.10.2 miscompiles the sum of a product here, under `vmap`.
            delta = there[:, None] - at_taken(taken, there[None])
            return jnp.logaddexp(log_sum, log_p[None, :, None] + delta), None

        nothing = jnp.full_like(taken, -jnp.inf)
        return total + jax.lax.scan(add, nothing, (log_probability, weight))[0], None

    return jax.lax.scan(add_child, jnp.zeros_like(taken), block)[0]

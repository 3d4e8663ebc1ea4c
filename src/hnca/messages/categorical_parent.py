r"""Messages of children through a dense weight to categorical parents, without evaluating the children anew.

Were unit `i` of value `v` to take value `k`, child logit `a_j` would shift by `W_ikj - W_ivj`. The exponential of that
is a product of two tables of the weights, so that what is left for every example, unit, value and child is a choice and
two multiply-adds, and nothing with an axis of children and one of examples and units is held.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from hnca.messages.fallback import instead_if

_BLOCK = 16


def categorical_parent_message(
    weight: Float[Array, "parents alternatives children"],
    child_logits: Float[Array, "*batch children"],
    child_state: Float[Array, "*batch children"],
    parent_values: Int[Array, "*batch parents"],
) -> Float[Array, "*batch parents alternatives"]:
    """Returns `log P(children | unit = k) - log P(children | unit as it is)` for Bernoulli children.

    Costs as much as `alternatives` messages to Bernoulli parents.

    Args:
        weight: from one-hot parent values to child logits.
        child_logits: logits of the children, with all parents as they are.
        child_state: 1 where a child has its upper value, else 0.
        parent_values: the categories taken.

    Source: Young 2022, Eq 2 and Appendix D.
    """
    parents, alternatives, children = weight.shape
    taken = jax.nn.one_hot(parent_values, alternatives, dtype=weight.dtype).reshape(-1, parents, alternatives)
    logits, state = (a.reshape(-1, children) for a in (child_logits, child_state))
    positive = (logits > 0).astype(logits.dtype)
    linear = jnp.einsum("bj,ikj->bik", state - positive, weight)
    linear -= jnp.sum(linear * taken, axis=-1, keepdims=True)
    sums = _sum_over_blocks(_log_of_products, weight, logits, taken)
    overflown = ~jnp.isfinite(jnp.max(sums))
    sums = instead_if(overflown, sums, lambda w: _sum_over_blocks(_sum_of_logs, w, logits, taken), weight)
    return (linear - sums).reshape(*parent_values.shape, alternatives)


def categorical_parent_softmax_message(
    weight: Float[Array, "parents alternatives children categories"],
    child_logits: Float[Array, "*batch children categories"],
    child_values: Int[Array, "*batch children"],
    parent_values: Int[Array, "*batch parents"],
) -> Float[Array, "*batch parents alternatives"]:
    """Returns the message of categorical children: `delta_(value) - log sum_m p_m e^(delta_m)`, a child at a time.

    Arguments and source as for `categorical_parent_message`; `child_values` are the categories taken.
    """
    parents, alternatives, children, categories = weight.shape
    taken = jax.nn.one_hot(parent_values, alternatives, dtype=weight.dtype).reshape(-1, parents, alternatives)
    log_probabilities = jax.nn.log_softmax(child_logits).reshape(-1, children, categories)
    chosen = jax.nn.one_hot(child_values, categories, dtype=weight.dtype).reshape(-1, children, categories)

    def add_child(total: Array, child: tuple[Array, Array, Array]) -> tuple[Array, None]:
        child_weight, log_probability, child_chosen = child
        here = jnp.einsum("bik,ikm->bim", taken, child_weight)
        shift = (
            jnp.einsum("bm,ikm->bik", child_chosen, child_weight)
            - jnp.einsum("bm,bim->bi", child_chosen, here)[..., None]
        )
        return total + shift - _log_expectation(log_probability, child_weight, here), None

    by_child = jnp.moveaxis(weight, 2, 0), jnp.moveaxis(log_probabilities, 1, 0), jnp.moveaxis(chosen, 1, 0)
    total, _ = jax.lax.scan(add_child, jnp.zeros_like(taken), by_child)
    return total.reshape(*parent_values.shape, alternatives)


def _log_expectation(
    log_probability: Float[Array, "batch categories"],
    weight: Float[Array, "parents alternatives categories"],
    here: Float[Array, "batch parents categories"],
) -> Float[Array, "batch parents alternatives"]:
    """Returns `log sum_m p_m e^(W_ikm - here_bim)` by a matrix product, finite for any finite weights."""
    largest = jnp.max(weight, axis=-1)
    rest = log_probability[:, None] - here
    largest_rest = jnp.max(rest, axis=-1, keepdims=True)
    scaled = jnp.einsum("bim,ikm->bik", jnp.exp(rest - largest_rest), jnp.exp(weight - largest[..., None]))
    mean = jnp.einsum("bm,ikm->bik", jnp.exp(log_probability), weight)
    mean -= jnp.einsum("bm,bim->bi", jnp.exp(log_probability), here)[..., None]
    # Jensen's bound takes over where every term of the sum underflows.
    return jnp.maximum(jnp.log(scaled) + largest[None] + largest_rest, mean)


def _sum_over_blocks(
    log_of_block: Callable[[Array, Array, Array], Array], weight: Array, logits: Array, taken: Array
) -> Array:
    """Returns `sum_j log(1 + sigmoid(-|a_j|) (e^(+-delta_ikj) - 1))`, `+` where `a_j <= 0`; padding adds nothing."""
    children = weight.shape[-1]
    block = min(_BLOCK, children)
    missing = -children % block
    weights = jnp.pad(jnp.moveaxis(weight, -1, 0), ((0, missing), (0, 0), (0, 0)))
    padded = jnp.pad(logits.T, ((0, missing), (0, 0)))
    blocks = weights.reshape(-1, block, *weights.shape[1:]), padded.reshape(-1, block, padded.shape[-1])

    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        return total + log_of_block(*part, taken), None

    return jax.lax.scan(add, jnp.zeros_like(taken), blocks)[0]


def _log_of_products(weight: Array, logits: Array, taken: Array) -> Array:
    """The fast way: multiplies the factors of a block as they are."""
    probability = jax.nn.sigmoid(-jnp.abs(logits))
    up, down = jnp.exp(weight), jnp.exp(-weight)
    product = jnp.ones_like(taken)
    for child in range(len(weight)):
        falls = (logits[child] > 0)[:, None, None]
        there = jnp.where(falls, down[child][None], up[child][None])
        back = jnp.sum(taken * jnp.where(falls, up[child][None], down[child][None]), axis=-1, keepdims=True)
        product += product * (probability[child][:, None, None] * (there * back - 1))
    return jnp.log(product)


def _sum_of_logs(weight: Array, logits: Array, taken: Array) -> Array:
    """The way for weights of any size: a softplus for every factor."""

    def add(total: Array, child: tuple[Array, Array]) -> tuple[Array, None]:
        child_weight, logit = child
        shift = child_weight[None] - jnp.sum(taken * child_weight[None], axis=-1, keepdims=True)
        below = -jnp.abs(logit)[:, None, None]
        signed = jnp.where((logit > 0)[:, None, None], -shift, shift)
        return total + jax.nn.softplus(below + signed) - jax.nn.softplus(below), None

    return jax.lax.scan(add, jnp.zeros_like(taken), (weight, logits))[0]

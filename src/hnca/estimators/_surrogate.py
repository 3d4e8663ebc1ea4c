"""The ordinary backpropagation that turns credits into a gradient."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._network_arguments import require_pass
from hnca._options import real_numbers
from hnca._precision import in_32_bits
from hnca.estimators._estimate import Combined, Credits, Estimate, weighted_values
from hnca.network import Network, Trace
from hnca.objectives import Component, Objective, as_objective

Combine = Callable[[Float[Array, " passes *batch"]], Combined]


def surrogate(
    network: Network, objective: Objective | Component, trace: Trace, credits: Estimate | Mapping[str, Array]
) -> Float[Array, ""]:
    r"""Returns the scalar whose gradient is the estimate; its value means nothing.

    `mean over the batch of [sum over layers <stop_gradient(credit), logits> + f]`, samples held fixed: the score part
    and the direct part of the gradient (Young 2022, Eq 4). Gradients are stopped at samples alone, so besides the
    network's parameters and the objective's whatever made the network's inputs gets its gradient too. Add it to a loss
    of your own under `jax.grad`; it points uphill.

    Example:
        ```python
        def loss(torso, network):
            trace = network.sample(key, {"features": jax.vmap(torso)(images)})
            estimate = estimator(network, objective, trace, key=estimator_key)
            return -hnca.surrogate(network, objective, trace, estimate)
        ```

    Args:
        network: whose parameters are differentiated.
        objective: gives the direct part, where it depends on parameters itself.
        trace: the forward pass. Of several passes, which an estimator has made, the stacked ones (`Estimate.trace`);
            beside an `Estimate` the pass that the estimator was given serves as well.
        credits: the estimate, whose samples and weights of several passes are then used; or for every layer its
            credit, as in `Estimate.credits`, where every pass of every example counts alike.

    Raises:
        ValueError: if there is not one credit a layer, of the shape of its logits in the trace, or if the trace has
            another batch than the estimate.
    """
    require_pass("surrogate", network, trace)
    objective, weights = as_objective(objective), None
    if isinstance(credits, Estimate):
        trace, weights, credits = _trace_of(network, trace, credits), credits.weights, credits.credits
    _check_credits(network, trace, credits)
    total, _ = surrogate_of(network, objective, trace, credits, lambda value: Combined(value, held_fixed(weights)))
    return total


def surrogate_of(
    network: Network, objective: Objective, trace: Trace, credits: Mapping[str, Array], combine: Combine | None
) -> tuple[Float[Array, ""], Combined]:
    """Returns the surrogate, and what the objective's values come to (by default themselves)."""
    held = network.evaluate(_at_fixed_samples(network, trace), trace.batch_shape)
    value = objective.value(network, held)
    constant = jax.lax.stop_gradient(value)
    combined = Combined(constant, None) if combine is None else combine(constant)
    total = weighted_values(value, combined.weights)
    for name, credit in credits.items():
        product = jax.lax.stop_gradient(credit) * held.logits[name].astype(credit.dtype)
        total += jnp.sum(product, axis=tuple(range(value.ndim, product.ndim))).astype(total.dtype)
    return jnp.mean(total), combined


@eqx.filter_grad(has_aux=True)
def gradient_of(
    trained: tuple[Network, Objective], trace: Trace, credits: Mapping[str, Array], combine: Combine | None
) -> tuple[Float[Array, ""], Combined]:
    """Returns the gradient of the surrogate by both parts' parameters, and what the objective's values come to."""
    return surrogate_of(*trained, trace, credits, combine)


def direct_credits(
    network: Network,
    objective: Objective | Component,
    trace: Trace,
    weights: Float[Array, " passes *batch"] | None = None,
) -> Credits:
    """Returns, for every layer, the derivative of the objective by the layer's logits, samples held fixed.

    What the direct part of the gradient (Young 2022, Eq 4) adds to the credits: the entropies of an ELBO depend on the
    logits themselves. `hnca.variance` takes the sum of both. `[*batch, ...]`, like `Estimate.credits`.

    Args:
        network: the network.
        objective: the objective.
        trace: the forward pass, or passes, as in `Estimate.trace`.
        weights: as in `Estimate.weights`.

    Raises:
        ValueError: for what is no network, no pass or no objective, or weights of another shape.
    """
    require_pass("direct_credits", network, trace)
    whole = as_objective(objective)
    if weights is not None:
        weights = real_numbers("direct_credits", "weights", weights)
        if weights.shape != trace.batch_shape:
            raise ValueError(
                f"direct_credits: weights of shape {weights.shape}; expected the trace's batch, {trace.batch_shape}."
            )

    def total(logits: Mapping[str, Array]) -> Float[Array, ""]:
        held = Trace(trace.values, dict(logits), trace.batch_shape)
        value = whole.value(network, held)
        return jnp.sum(weighted_values(value, weights))

    return in_32_bits(jax.grad(total)(trace.logits))


def held_fixed(tree: Any) -> Any:
    """Returns the tree with gradients stopped at all its arrays."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)


def with_inputs_of(network: Network, given: Trace, passes: Trace) -> Trace:
    """Returns the passes with the inputs of the trace that was given, through which they are differentiated."""
    shape = passes.batch_shape
    if given.batch_shape == shape:
        inputs = {name: given[name] for name, _ in network.inputs}
    else:
        inputs = {name: jnp.broadcast_to(given[name][None], (*shape, *one)) for name, one in network.inputs}
    return Trace({**passes.values, **inputs}, passes.logits, shape)


def _at_fixed_samples(network: Network, trace: Trace) -> dict[str, Array]:
    """Returns the trace's values, with gradients stopped at those of layers: inputs are differentiated."""
    return {name: held_fixed(value) if name in network.layers else value for name, value in trace.values.items()}


def _trace_of(network: Network, given: Trace, estimate: Estimate) -> Trace:
    """Returns the estimate's passes, with the inputs of the trace that was given."""
    passes = estimate.trace.batch_shape
    if given.batch_shape not in (passes, estimate.value.shape):
        raise ValueError(
            f"surrogate: trace has the batch {given.batch_shape}; expected the estimate's, {estimate.value.shape}, or "
            f"{passes} for all its passes."
        )
    return with_inputs_of(network, given, estimate.trace)


def _check_credits(network: Network, trace: Trace, credits: Mapping[str, Array]) -> None:
    if not isinstance(credits, Mapping):
        raise ValueError(f"surrogate: credits is a {type(credits).__name__}; expected an estimate or credits by layer.")
    if set(credits) != set(network.layers):
        raise ValueError(
            f"surrogate: credits of {sorted(credits)!r}; expected one a layer, {sorted(network.layers)!r} (zeros for a "
            "layer that is not to learn)."
        )
    for name, credit in credits.items():
        if name not in trace.logits or jnp.shape(credit) != trace.logits[name].shape:
            found = trace.logits[name].shape if name in trace.logits else None
            raise ValueError(
                f"surrogate: the credit of layer {name!r} has shape {jnp.shape(credit)}; expected that of its logits "
                f"in the trace, {found}. Of an estimator that makes passes of its own, give the estimate or its trace."
            )

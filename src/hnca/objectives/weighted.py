"""A component times a weight: of a term, of every example, or of both."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped

from hnca._options import known_numbers, real_numbers
from hnca.messages import Changes
from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._checked import checked_changes, checked_contrast, checked_value


class Weighted(Component):
    """`weight * component`: an annealed or beta-weighted term, padding, a mask, importance weights.

    Example:
        ```python
        elbo = hnca.ELBO(encoder, decoder)
        reconstruction, *divergence = elbo.components           # as `elbo.explain(encoder)` lists them
        beta = hnca.Objective(reconstruction, *(hnca.Weighted(term, 4.0) for term in divergence))
        padded = hnca.Objective(*(hnca.Weighted(term, is_example) for term in elbo.components))
        ```

    Gradients are stopped at the weight. The mean over the batch still divides by the batch's size: of a mask, scale by
    `mask.size / mask.sum()` for the mean over the examples that count. A value that is not finite stays so under a
    weight of 0.

    Attributes:
        component: what is weighted.
        weight: one number, or one an example, `[*batch]`; of several passes over a batch all have the same.
    """

    component: Component
    weight: Shaped[Array, "*batch"]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(self, component: object, weight: float | Shaped[Array | np.ndarray, "*batch"]):
        """Args:
            component: what is weighted.
            weight: see the class.

        Raises:
            ValueError: for something else than a component, or a weight that is complex or (outside of `jax.jit`) NaN
                or infinite.
        """
        if not isinstance(component, Component):
            raise ValueError(
                f"Weighted: component={type(component).__name__}; expected one component (of an objective, weight "
                "each of its `components`)."
            )
        self.component = component
        self.weight = real_numbers("Weighted", "weight", weight)
        self.arguments = component.arguments
        self.counterfactual = component.counterfactual
        self.repeatable = component.repeatable
        known = known_numbers(self.weight)
        if known is not None and not np.all(np.isfinite(known)):
            raise ValueError("Weighted: weight has values that are NaN or infinite; expected finite numbers.")

    def check(self, network: Network, trace: Trace) -> None:
        self.component.check(network, trace)
        self._require_shape(trace.batch_shape)

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return self._of_examples(network, trace) * checked_value(self.component, network, trace)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        found = checked_contrast(self.component, network, trace, layer)
        weight = self._of_examples(network, trace)
        return weight.reshape(weight.shape + (1,) * (found.ndim - weight.ndim)) * found

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return self.component.is_reevaluated(network, layer)

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        weight = self._of_examples(network, trace)
        return checked_changes(self.component, network, trace, layer).mapped(lambda value: weight * value)

    def _of_examples(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        """Returns the weight of every example in every pass."""
        batch = trace.batch_shape
        if self.weight.shape != batch[1:]:  # of several passes all have the same
            self._require_shape(batch)
        return jnp.broadcast_to(jax.lax.stop_gradient(self.weight.astype(network.dtype)), batch)

    def _require_shape(self, batch: tuple[int, ...]) -> None:
        shape = self.weight.shape
        if shape not in ((), batch):
            raise ValueError(f"{self}: weight has shape {shape}; expected (), one for all, or {batch}, one an example.")

    def __str__(self) -> str:
        weight = self.weight
        known = weight.ndim == 0 and not isinstance(weight, jax.core.Tracer)
        return f"{float(weight):g} * {self.component}" if known else f"weight * {self.component}"

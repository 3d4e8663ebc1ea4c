"""Any function of the values of some layers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import equinox as eqx
import jax
from jaxtyping import Array, Float

from hnca.messages import contrast_by_enumeration
from hnca.network import Network, Trace
from hnca.objectives._base import Component


class Function(Component):
    """A known function, written for one example.

    Example:
        ```python
        hnca.Function(lambda code: -0.1 * jnp.sum(code), of="code")    # a cost on every unit that is on
        ```

    Attributes:
        function: takes what a child would see of each layer, without batch axes, and returns a scalar; its array
            leaves are parameters of the objective.
        arguments: the layers it reads.
        counterfactual: whether it is evaluated anew for every value of every unit (exact, and `units * alternatives`
            evaluations), or is opaque.
    """

    function: Callable[..., Float[Array, ""]]
    arguments: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[..., Array],
        of: str | Sequence[str],
        counterfactual: Literal["enumerate", "none"] = "enumerate",
    ):
        """Args:
            function: see the class.
            of: the layers it reads, in the order in which it takes them.
            counterfactual: `"enumerate"` to evaluate it anew for every value of every unit; `"none"` for opaque.

        Raises:
            ValueError: for another `counterfactual`, or no layers.
        """
        if counterfactual not in ("enumerate", "none"):
            raise ValueError(f"Function: counterfactual={counterfactual!r}; expected 'enumerate' or 'none'.")
        self.function = function
        self.arguments = (of,) if isinstance(of, str) else tuple(of)
        self.counterfactual = counterfactual == "enumerate"
        self.repeatable = True
        if not self.arguments:
            raise ValueError("Function: of=(); expected at least one layer.")

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        return self._evaluate(network, trace.values, len(trace.batch_shape))

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        axes = len(trace.batch_shape)
        return contrast_by_enumeration(lambda values: self._evaluate(network, values, axes), network, trace, layer)

    def _evaluate(self, network: Network, values: Mapping[str, Array], axes: int) -> Float[Array, "*batch"]:
        function = self.function
        for _ in range(axes):
            function = jax.vmap(function)
        return function(*(network.features(values, name) for name in self.arguments))

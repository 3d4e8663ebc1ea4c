"""Any function of the values of some layers, and of the example's data."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hnca._names import checked_names, layer_names
from hnca._options import require_callable, require_one_of
from hnca.conditionals import Parametrised, parametrised
from hnca.messages import Changes, changes_by_enumeration, contrast_of_all
from hnca.network import Network, Trace
from hnca.objectives._base import Component
from hnca.objectives._mixing import refuse_batch


class Function(Component):
    """A known function, written for one example.

    Example:
        ```python
        hnca.Function(lambda code: -0.1 * jnp.sum(code), of="code")    # a cost on every unit that is on
        hnca.Function(lambda code, x: -jnp.sum((decoder(code) - x) ** 2), of="code", inputs="x")
        ```

    What belongs to an example comes from the network's inputs, never from a batch that the function closes over: that
    would mix examples. Inputs may have any shape, `()` for a label, and need not be read by any layer.

    Attributes:
        function: takes what a child would see of each layer, then each input as it is, without batch axes, and returns
            a scalar. The arrays of an Equinox module are parameters of the objective; those that a plain function
            closes over are constants.
        arguments: the layers it reads.
        inputs: the inputs of the network it reads.
        counterfactual: whether it is evaluated anew for every value of every unit (exact, and `units * alternatives`
            evaluations), or is opaque.
    """

    function: Parametrised
    arguments: tuple[str, ...] = eqx.field(static=True)
    inputs: tuple[str, ...] = eqx.field(static=True)
    counterfactual: bool = eqx.field(static=True)
    repeatable: bool = eqx.field(static=True)

    def __init__(
        self,
        function: Callable[..., Array],
        of: str | Sequence[str],
        counterfactual: Literal["enumerate", "none"] = "enumerate",
        *,
        inputs: str | Sequence[str] = (),
    ):
        """Args:
            function: see the class.
            of: the layers it reads, in the order in which it takes them.
            counterfactual: `"enumerate"` to evaluate it anew for every value of every unit; `"none"` for opaque.
            inputs: the inputs of the network that it takes after the layers.

        Raises:
            ValueError: for another `counterfactual`, what is no function, no layers, or one named twice.
        """
        require_one_of("Function", "counterfactual", counterfactual, ("enumerate", "none"))
        require_callable("Function", "function", function, "what the layers drew")
        self.function = parametrised(function)
        self.arguments = layer_names("Function", "of", of)
        self.inputs = checked_names("Function", "inputs", inputs)
        self.counterfactual = counterfactual == "enumerate"
        self.repeatable = True

    def value(self, network: Network, trace: Trace) -> Float[Array, "*batch"]:
        self.check(network, trace)
        return self._evaluate(network, trace.values, trace.batch_shape)

    def contrast(self, network: Network, trace: Trace, layer: str) -> Float[Array, "*logits"]:
        return contrast_of_all(self.changes(network, trace, layer), network, trace, layer)

    def is_reevaluated(self, network: Network, layer: str) -> bool:
        return self.counterfactual

    def changes(self, network: Network, trace: Trace, layer: str) -> Changes:
        def of_values(values: Mapping[str, Array]) -> Float[Array, "*batch"]:
            return self._evaluate(network, values, trace.batch_shape).astype(network.dtype)

        return changes_by_enumeration(of_values, trace, layer)

    def _evaluate(
        self, network: Network, values: Mapping[str, Array], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch"]:
        function: Callable[..., Array] = self.function
        for _ in batch_shape:
            function = jax.vmap(function)
        return jnp.asarray(function(*self._read(network, values)))

    def _read(self, network: Network, values: Mapping[str, Array]) -> list[Array]:
        layers = [network.features(values, name) for name in self.arguments]
        return [*layers, *(values[name] for name in self.inputs)]

    def check(self, network: Network, trace: Trace) -> None:
        """Raises a ValueError for an input that is not there, for no scalar, and for a batch that is closed over."""
        known = sorted(name for name, _ in network.inputs)
        if not set(self.inputs) <= set(known):
            raise ValueError(f"{self}: inputs={self.inputs!r}; expected inputs of the network, {known!r}.")
        axes = len(trace.batch_shape)
        one = [jax.ShapeDtypeStruct(a.shape[axes:], a.dtype) for a in self._read(network, trace.values)]
        # The function's own arrays are arguments here, so that what is left as constants it closes over.
        traced, shape = jax.make_jaxpr(lambda f, *read: jnp.asarray(f(*read)), return_shape=True)(self.function, *one)
        if shape.shape:
            raise ValueError(
                f"{self}: the function returns shape {shape.shape} for one example; expected a scalar. It is written "
                "for one example: sum over what is left, and if it closes over a batch, name that in inputs=."
            )
        for name, _ in network.inputs:
            refuse_batch(str(self), name, traced.consts, trace[name], axes)

    def __str__(self) -> str:
        return f"Function({', '.join((*self.arguments, *self.inputs))})"

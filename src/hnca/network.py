"""A network: a directed acyclic graph of named layers over named inputs, and what one forward pass leaves behind."""

import math
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from hnca._given import check_given, checked_batch, declared_shapes, pairs_of, require_by_name, shape_of_batch
from hnca._graph import ancestors_of, check_names, check_parents, mediators_of, topological_order
from hnca._keys import required_key
from hnca.units import Conditional, Layer

Take = Callable[[str, Float[Array, "*logits"]], Array]
"""Takes a layer's name and its logits, and returns the values that it takes."""

_DTYPES: dict[int, jnp.dtype] = {}
"""Of every network alive that was asked: a large one is asked a thousand times. A field of its own would go stale."""


class Trace(eqx.Module):
    """One forward pass. `trace["name"]` is the values of a layer or of an input.

    Attributes:
        values: for every input `[*batch, *its shape]`, for every layer `[*batch, units]`.
        logits: for every layer, in the shape of its family.
        batch_shape: the leading axes that all of them share.
    """

    values: dict[str, Array]
    logits: dict[str, Array]
    batch_shape: tuple[int, ...] = eqx.field(static=True)

    def __getitem__(self, name: str) -> Array:
        return self.values[name]


class Network(eqx.Module):
    """A DAG of layers. Its parameters are its array leaves, so it is what `jax.grad` and Optax take.

    Examples:
        >>> k1, k2, k3 = jax.random.split(jax.random.key(0), 3)
        >>> network = hnca.Network(
        ...     {
        ...         "hidden": hnca.Bernoulli(hnca.Dense("image", 784, 200, key=k1), values=(-1, 1)),
        ...         "action": hnca.Categorical(hnca.Dense("hidden", 200, 10, key=k2)),
        ...     },
        ...     inputs={"image": 784},
        ... )
        >>> trace = network.sample(k3, {"image": jnp.ones((50, 784))})
        >>> trace["hidden"].shape, trace.logits["action"].shape
        ((50, 200), (50, 1, 10))

    Attributes:
        layers: the layers by name.
        inputs: names and shapes (without batch axes) of the inputs.
        order: the names of the layers, parents before children.
    """

    layers: dict[str, Layer]
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    order: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        layers: Mapping[str, Layer] | Iterable[tuple[str, Layer]],
        inputs: Mapping[str, int | tuple[int, ...]] | None = None,
    ):
        """Args:
            layers: the layers by name, in any order.
            inputs: for every input its shape for one example; a number stands for a vector of that size.

        Raises:
            ValueError: for what is no layer, no name or no shape, a name given twice, a parent that is neither a layer
                nor an input, a cycle, a parent whose size is not what the child's conditional expects, or an `Apply`
                that returns another shape than it says. The message names the layers.
        """
        pairs = pairs_of("layers", layers)
        shapes = declared_shapes({} if inputs is None else inputs)
        check_names([name for name, _ in pairs], list(shapes))
        for name, layer in pairs:
            if not isinstance(layer, Layer):
                kind = type(layer).__name__
                raise ValueError(
                    f"Network: layer {name!r} is a {kind}; expected a layer, such as hnca.Bernoulli({kind.lower()})."
                )
        self.layers = dict(pairs)
        self.inputs = tuple(shapes.items())
        parents = {name: layer.conditional.parents for name, layer in pairs}
        check_parents(parents, list(shapes))
        self.order = topological_order(parents)
        for name in self.order:
            self._check_sizes(name)

    def _check_sizes(self, name: str) -> None:
        conditional = self.layers[name].conditional
        shapes = [self._feature_shape(parent) for parent in conditional.parents]
        for parent, size, shape in zip(conditional.parents, conditional.parent_sizes, shapes, strict=True):
            if size is not None and math.prod(shape) != size:
                raise ValueError(
                    f"Network: layer {name!r} expects {size} features of its parent {parent!r}, "
                    f"which has shape {shape}."
                )
        if any(size is None for size in conditional.parent_sizes):
            try:
                result = self._result_shape(conditional, shapes, self.dtype)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Network: the function of layer {name!r} cannot be applied to its parents "
                    f"{conditional.parents!r} of shapes {shapes}: {error}"
                ) from error
            if result != (conditional.out_features,):
                raise ValueError(
                    f"Network: the function of layer {name!r} returns shape {result}; "
                    f"expected ({conditional.out_features},)."
                )

    def _result_shape(self, conditional: Conditional, shapes: Sequence[tuple[int, ...]], dtype: DTypeLike) -> tuple:
        """Returns the shape of what a conditional returns for inputs of this dtype, or of integers if needed."""
        dtypes = [self.dtype if parent in self.layers else dtype for parent in conditional.parents]
        examples = tuple(jax.ShapeDtypeStruct(*pair) for pair in zip(shapes, dtypes, strict=True))
        try:
            return eqx.filter_eval_shape(conditional, examples, ()).shape
        except TypeError:
            if not jnp.issubdtype(dtype, jnp.floating):
                raise
            return self._result_shape(conditional, shapes, jnp.int32)

    def _feature_shape(self, name: str) -> tuple[int, ...]:
        return (self.layers[name].features,) if name in self.layers else dict(self.inputs)[name]

    def children(self, name: str) -> tuple[str, ...]:
        """Returns the layers that read this layer or input, parents before children."""
        return tuple(child for child in self.order if name in self.layers[child].conditional.parents)

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Returns these layers and every layer from which one of them can be reached."""
        parents = {name: layer.conditional.parents for name, layer in self.layers.items()}
        return ancestors_of(parents, names) & frozenset(self.layers)

    def after(self, name: str) -> tuple[str, ...]:
        """Returns the layers that can be reached from this layer or input, without it, parents before children."""
        found = [name]
        for other in self.order:
            if not set(found).isdisjoint(self.layers[other].conditional.parents):
                found.append(other)
        return tuple(found[1:])

    def mediators(self, name: str, arguments: Iterable[str]) -> tuple[str, ...]:
        """Returns the children of a layer through which a function of `arguments` can be reached."""
        return mediators_of(self.children(name), self.ancestors(arguments))

    def features(self, values: Mapping[str, Array], name: str) -> Array:
        """Returns what a child sees of an input or a layer, `[*batch, features]` (an input as it is)."""
        if name not in self.layers:
            return values[name]
        return self.layers[name].encode(values[name], self.dtype)

    @property
    def dtype(self) -> jnp.dtype:
        """The dtype of the parameters, and with them of logits and credits."""
        found = _DTYPES.get(id(self))
        if found is None:
            found = _DTYPES[id(self)] = self._common_dtype()
            weakref.finalize(self, _DTYPES.pop, id(self), None)
        return found

    def _common_dtype(self) -> jnp.dtype:
        arrays = [leaf for leaf in jax.tree.leaves(self.layers) if eqx.is_array(leaf)]
        floats = [array.dtype for array in arrays if jnp.issubdtype(array.dtype, jnp.floating)]
        with jax.numpy_dtype_promotion("standard"):  # layers may have several
            return jnp.result_type(*floats) if floats else jnp.result_type(float)

    def layer_logits(self, values: Mapping[str, Array], name: str, batch_shape: tuple[int, ...]) -> Array:
        """Returns the logits of one layer given the values of its parents."""
        return self.logits_of(self.layers[name], values, batch_shape, f"layer {name!r}")

    def logits_of(
        self, layer: Layer, values: Mapping[str, Array], batch_shape: tuple[int, ...], owner: str
    ) -> Float[Array, "*logits"]:
        """Returns the logits of a layer, of the network or not, whose parents are in it; `owner` is for messages.

        Raises:
            ValueError: if a conditional that counts its features (`Dense`, `Conv`) reads an input of integers.
        """
        conditional = layer.conditional
        features = []
        for parent, size in zip(conditional.parents, conditional.parent_sizes, strict=True):
            seen = self.features(values, parent)
            if size is not None and jnp.issubdtype(seen.dtype, jnp.integer):
                raise ValueError(
                    f"Network: {owner} would take the integers of input {parent!r} ({seen.dtype}) for quantities; "
                    f"expected floats: jax.nn.one_hot(...) of labels, .astype(float) of pixels and counts."
                )
            features.append(seen.astype(self.dtype) if seen.dtype == bool else seen)
        return layer.logits(tuple(features), batch_shape)

    def sample(
        self, key: Key[Array, ""], inputs: Mapping[str, Array], batch_shape: Sequence[int] | None = None
    ) -> Trace:
        """Draws every layer given its parents, from the inputs on (ancestral sampling).

        Args:
            key: split once a layer, in the order of `order`.
            inputs: for every input `[*batch, *its shape]`.
            batch_shape: needed only when the network has no inputs, and nothing else could tell.

        Raises:
            ValueError: for an input that is missing, not known, or whose trailing shape is not the declared one, or
                for what is not one key.
        """
        required_key("Network.sample", key)
        batch_shape = shape_of_batch(inputs, dict(self.inputs), batch_shape)
        return self.forward_pass(self._drawing(key), inputs, batch_shape)

    def resample(self, key: Key[Array, ""], trace: Trace, name: str, values: Array) -> Trace:
        """Returns the trace with other values of one layer, and everything after it drawn anew.

        Args:
            key: split once a layer, in the order of `order`.
            trace: what stays as it is before and beside the layer.
            name: the layer.
            values: what it takes, `[*batch, units]`.
        """
        return self.pass_after(self._drawing(key), trace, name, values)

    def layer_keys(self, key: Key[Array, ""]) -> dict[str, Key[Array, ""]]:
        """Returns a key for every layer, split in the order of `order`."""
        return dict(zip(self.order, jax.random.split(key, len(self.order)), strict=True))

    def forward_pass(self, take: Take, values: Mapping[str, Array], batch_shape: tuple[int, ...]) -> Trace:
        """Returns the pass from the inputs on in which every layer takes what `take` makes of its logits.

        Args:
            take: called once a layer, parents before children.
            values: for every input `[*batch, *its shape]`.
            batch_shape: the leading axes that all of them share.
        """
        return self._walk(take, self.order, Trace(dict(values), {}, batch_shape))

    def pass_after(self, take: Take, trace: Trace, name: str, values: Array) -> Trace:
        """Returns the trace with other values of one layer, and what `take` makes of the logits in all after it.

        Args:
            take: called once for every layer of `after(name)`, parents before children.
            trace: what stays as it is before and beside the layer, and the logits of the layer itself.
            name: the layer.
            values: what it takes.
        """
        changed = Trace({**trace.values, name: values}, trace.logits, trace.batch_shape)
        return self._walk(take, self.after(name), changed)

    def _walk(self, take: Take, names: Iterable[str], start: Trace) -> Trace:
        values, logits = dict(start.values), dict(start.logits)
        for name in names:
            logits[name] = self.layer_logits(values, name, start.batch_shape)
            values[name] = take(name, logits[name])
        return Trace(values, logits, start.batch_shape)

    def _drawing(self, key: Key[Array, ""]) -> Take:
        keys = self.layer_keys(key)
        return lambda name, logits: self.layers[name].sample(keys[name], logits)

    def evaluate(self, values: Mapping[str, Array], batch_shape: Sequence[int]) -> Trace:
        """Returns the trace of a pass that took these values: inputs' and layers' values given, logits computed.

        Differentiable in the parameters at fixed values; what a network without samples of its own calls.

        Args:
            values: for every input `[*batch, *its shape]`, for every layer `[*batch, units]`.
            batch_shape: the leading axes that all of them share.

        Raises:
            ValueError: for an input or layer whose values are missing or of another shape.
        """
        require_by_name("Network.evaluate", "values", values)
        batch_shape = checked_batch("Network.evaluate", batch_shape)
        for name, shape in self.inputs:
            check_given(values, f"input {name!r}", name, batch_shape, shape)
        for name, layer in self.layers.items():
            relaxed = (layer.units, layer.alternatives)
            check_given(values, f"layer {name!r}", name, batch_shape, (layer.units,), relaxed)
        return self.forward_pass(lambda name, _logits: values[name], values, batch_shape)

    def log_prob(self, trace: Trace) -> Float[Array, "*batch"]:
        """Returns the log-probability of all the layers' values given the inputs, in nats, `[*batch]`."""
        terms = [jnp.sum(self.layers[n].log_prob(trace.logits[n], trace[n]), axis=-1) for n in self.order]
        return sum(terms[1:], terms[0])

"""A function's arguments as flat arrays, and which of them have a batch axis."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from hnca.programs.signature import is_credited

InAxes = int | None | Sequence[Any]

_NUMBER = bool | int | float | complex | np.generic


class Flat(NamedTuple):
    """A call, flattened.

    Attributes:
        arrays: the array leaves of the arguments; what is no array is part of the function, Python's numbers too.
        mapped: which of them have a batch axis, moved to the front.
        batch_shape: `(batch,)`, or nothing.
        moved: whether a batch axis was another than the first.
        rebuild: from arrays back to positional and keyword arguments.
    """

    arrays: list[Array]
    mapped: list[bool]
    batch_shape: tuple[int, ...]
    moved: bool
    rebuild: Callable[[Sequence[Array]], tuple[tuple[Any, ...], dict[str, Any]]]


def flatten(
    owner: str, arguments: tuple[Any, ...], keywords: dict[str, Any], in_axes: InAxes, *, whole_batch: bool = False
) -> Flat:
    """Returns the arguments as arrays.

    Python's and numpy's numbers stay what they are, as under `jax.grad`: a flag can be asked with `if`, a count given
    to `range`. Whoever differentiates by one makes an array of it first.

    Args:
        owner: for error messages.
        arguments: positional.
        keywords: by keyword; none of them has a batch axis.
        in_axes: as `jax.vmap` takes them: a number, None, or one of these (or a pytree of them) an argument.
        whole_batch: whether the function is of the whole batch, and draws with one key.

    Raises:
        ValueError: for as many axes as there are no arguments, batch axes that differ in size, or arrays that vary over
            devices by JAX's own account (in `jax.shard_map`).
    """
    axes = _axes_of_leaves(owner, arguments, in_axes)
    paths, structure = jax.tree.flatten_with_path((arguments, keywords))
    leaves = [leaf for _, leaf in paths]
    axes = [*axes, *(None for _ in range(len(leaves) - len(axes)))]
    # A number with a batch axis is refused below, as an array without one is.
    is_array = [
        eqx.is_array_like(leaf) and (axis is not None or not isinstance(leaf, _NUMBER))
        for leaf, axis in zip(leaves, axes, strict=True)
    ]
    arrays = [jnp.asarray(leaf) for leaf, array in zip(leaves, is_array, strict=True) if array]
    _refuse_varying(owner, arrays)
    array_axes = [axis for axis, array in zip(axes, is_array, strict=True) if array]
    names = [named(path) for (path, _), array in zip(paths, is_array, strict=True) if array]
    for array, axis, name in zip(arrays, array_axes, names, strict=True):
        if axis is not None and not -array.ndim <= axis < array.ndim:
            raise ValueError(
                f"{owner}: in_axes has {axis} for {name}, of shape {array.shape}, which has no such axis; expected "
                f"{_cure_of(array, whole_batch)}."
            )
    arrays = [a if axis is None else jnp.moveaxis(a, axis, 0) for a, axis in zip(arrays, array_axes, strict=True)]
    sizes = {array.shape[0]: n for array, axis, n in zip(arrays, array_axes, names, strict=True) if axis is not None}
    if len(sizes) > 1:
        found = ", ".join(f"{size} ({name})" for size, name in sorted(sizes.items()))
        raise ValueError(f"{owner}: the batch axes have sizes {found}; expected one size.")

    def rebuild(flat: Sequence[Array]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        moving = iter(flat)
        return jax.tree.unflatten(
            structure, [next(moving) if array else leaf for leaf, array in zip(leaves, is_array, strict=True)]
        )

    moved = any(axis not in (None, 0) for axis in array_axes)
    return Flat(arrays, [axis is not None for axis in array_axes], tuple(sizes), moved, rebuild)


def is_key(array: Array | jax.ShapeDtypeStruct | jax.core.ShapedArray) -> bool:
    """Returns whether an array is of typed keys, of which there is no derivative."""
    return bool(jnp.issubdtype(array.dtype, jax.dtypes.prng_key))


def require_flags(owner: str, **flags: object) -> None:
    """Raises a ValueError for something else than True or False: `unroll` is no number of steps, as for a scan."""
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"{owner}: {name}={flag!r}; expected True or False.")


def require_function(owner: str, function: object) -> None:
    """Raises a ValueError for what cannot be called, such as what a function returned."""
    if not callable(function):
        raise ValueError(
            f"hnca.{owner}: {type(function).__name__} given; expected a function, as loss, and not loss(params)."
        )
    if is_credited(function):
        raise ValueError(
            f"hnca.{owner}: given what hnca has credited already; expected the function with the draws itself (of "
            "hnca.credited(loss) take jax.value_and_grad, or hnca.value_and_grad of loss)."
        )


def _cure_of(array: Array, whole_batch: bool) -> str:
    """Returns what to give, or to say, of an array without the axis that in_axes says it has."""
    if is_key(array):
        if whole_batch:
            return "None for it: with whole_batch=True one key is for all examples"
        return "one key an example, such as jax.random.split(key, batch)"
    return "None for what all examples share; of a list, jnp.stack(...) in its place"


def named(path: tuple[Any, ...]) -> str:
    """Returns what an array of `(arguments, keywords)` is called: `argument 0['weight']`."""
    _, place, *inner = path
    first = f"argument {place.idx}" if isinstance(place, jax.tree_util.SequenceKey) else f"argument {place.key}"
    return first + jax.tree_util.keystr(tuple(inner))


def _refuse_varying(owner: str, arrays: Sequence[Array]) -> None:
    """Raises a ValueError for arrays of which JAX keeps account over which devices they vary."""
    axes = sorted({str(axis) for array in arrays for axis in _varying(jax.typeof(array))})
    if axes:
        raise ValueError(
            f"{owner}: an argument varies over the devices of axis {', '.join(axes)} inside jax.shard_map, which a "
            "program keeps no account of; expected jax.shard_map(..., check_vma=False): value and gradient are those "
            f"of each device's own examples then, and jax.lax.pmean(..., {axes[0]!r}) is that of all."
        )


def _varying(aval: Any) -> Any:
    """Returns the axes of a mesh over which an array varies, by JAX's account: its name is another from 0.10 on."""
    kind = getattr(aval, "manual_axis_type", None)
    return getattr(aval, "vma", ()) if kind is None else kind.varying


def _axes_of_leaves(owner: str, arguments: tuple[Any, ...], in_axes: InAxes) -> list[int | None]:
    whole = in_axes is None or isinstance(in_axes, int)
    axes = jax.tree.leaves(in_axes, is_leaf=lambda a: a is None)
    are_axes = all(axis is None or (isinstance(axis, int) and not isinstance(axis, bool)) for axis in axes)
    if not are_axes or (not whole and not isinstance(in_axes, list | tuple)):
        raise ValueError(
            f"{owner}: in_axes={in_axes!r}; expected None, a number, or a tuple of such, one an argument: (None, 0, 0)."
        )
    each: Sequence[PyTree] = [in_axes] * len(arguments) if whole else list(in_axes)  # type: ignore[arg-type]
    if len(each) != len(arguments):
        raise ValueError(
            f"{owner}: in_axes={in_axes!r} for {len(arguments)} positional arguments; expected one entry an argument, "
            "and those with a batch axis given by position, as what is given by name all examples share."
        )
    found: list[int | None] = []
    for place, (axis, argument) in enumerate(zip(each, arguments, strict=True)):
        try:
            spread = jax.tree.map(
                lambda a, part: jax.tree.map(lambda _: _Axis(a), part), axis, argument, is_leaf=lambda a: a is None
            )
        except ValueError as error:
            raise ValueError(
                f"{owner}: in_axes for argument {place} is no prefix of that argument's structure: {error}"
            ) from error
        found += [leaf.axis for leaf in jax.tree.leaves(spread, is_leaf=lambda a: isinstance(a, _Axis))]
    return found


class _Axis:
    """An axis as a leaf of a pytree, also where it is None."""

    def __init__(self, axis: int | None):
        self.axis = axis


def check_value(owner: str, value: Any) -> None:
    """Raises a ValueError unless what a function returned for one example is one float."""
    if not isinstance(value, Array | np.ndarray | np.generic | bool | int | float):
        kind = "None (is its return missing?)" if value is None else f"a {type(value).__name__}"
        raise ValueError(
            f"{owner}: the function returned {kind}; expected one float of shape (), or, with has_aux=True, a pair "
            "of it and anything else."
        )
    shape, dtype = jnp.shape(value), jnp.result_type(value)
    if shape == () and not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"{owner}: the function returned a number of dtype {dtype}; expected a float, such as "
            "jnp.asarray(value, float)."
        )
    if shape != ():
        raise ValueError(
            f"{owner}: the function returned an array of shape {shape} and dtype {dtype}; expected one float for one "
            "example (sum over its elements; which arguments have a batch axis is said by in_axes)."
        )

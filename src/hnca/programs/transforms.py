"""`value_and_grad`, `grad` and `credited`: JAX's own transformations, for functions with discrete draws."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from hnca._keys import require_one_key
from hnca._options import is_count
from hnca._warning import warn
from hnca.baselines import Baseline
from hnca.estimators import HNCA, NVIL, Estimator
from hnca.programs.arguments import InAxes, require_flags, require_function
from hnca.programs.crediting import compile_call, credited_call
from hnca.programs.first_state import first_state, first_state_of_whole
from hnca.programs.loops.crediting import check_options, compile_loops, credited_loops, first_states
from hnca.programs.no_examples import credited_nothing
from hnca.programs.once import differentiable_once
from hnca.programs.signature import Stateful, with_estimator_keywords, with_init
from hnca.programs.whole_batch import compile_whole, credited_whole


def credited(
    function: Callable[..., Any],
    *,
    in_axes: InAxes = None,
    has_aux: bool = False,
    estimator: Estimator | None = None,
    stateful: bool = False,
    whole_batch: bool = False,
    unroll: bool = True,
) -> Stateful:
    """Returns a function whose ordinary derivative is an unbiased estimate of the gradient of `function`'s expectation.

    For gradient wrappers of other libraries: `nnx.value_and_grad(hnca.credited(loss, in_axes=...))`,
    `eqx.filter_grad(hnca.credited(loss))`. Its value is the mean of `function` over the batch, its derivative by any
    argument (and by whatever `function` closes over) the estimate.

    Args:
        function: of one example, returning a float (and, with `has_aux`, something else beside it).
        in_axes: which axis of each positional argument is the batch, as for `jax.vmap`; None for an argument that all
            examples share, or, alone, for no batch at all.
        has_aux: whether `function` returns a pair of the value and something that is handed through, as a constant.
        estimator: how credits are estimated; by default `hnca.HNCA()`.
        stateful: whether the estimator's state is returned too: `(value, state)`, or `(value, (aux, state))`. Without
            it, and without a state given, an estimator with a baseline warns: its baseline would never learn.
        whole_batch: whether `function` is of the whole batch, with `in_axes` saying which arguments have it as their
            first axis, and returns a sum or mean over it; one key may draw for all. It is credited example by example,
            and refused where it is not certain that no step mixes examples.
        unroll: whether a `jax.lax.scan` with draws in it is written out step by step, at a compile time that grows with
            more than the square of its length where each step reads all before it. False leaves loops as they are, for
            `hnca.HNCA` and `hnca.REINFORCE`: HNCA runs the whole function anew for every other value of every unit,
            side by side, and no message has a closed form then.

    Returns:
        A function of the same arguments, and of `estimator_key`, for estimators that draw samples of their own, and
        `estimator_state`, what an earlier call or its `init` returned: `init` takes the function's arguments.

    Raises:
        ValueError: (when called) for a result that is not one float an example, and for what a program cannot have in
            it (see `docs/programs.md`); the message gives the line. If the derivative is differentiated once more.
    """
    require_function("credited", function)
    require_flags(_name(function), has_aux=has_aux, stateful=stateful, whole_batch=whole_batch, unroll=unroll)
    estimator = HNCA() if estimator is None else estimator
    if not isinstance(estimator, Estimator):
        raise ValueError(f"{_name(function)}: estimator={estimator!r}; expected an estimator such as hnca.HNCA().")
    if not unroll:
        check_options(_name(function), estimator, whole_batch=whole_batch)

    @with_estimator_keywords(function)
    def call(
        *arguments: Any, estimator_key: Key[Array, ""] | None = None, estimator_state: PyTree = None, **keywords: Any
    ) -> Any:
        require_one_key(_name(function), "estimator_key", estimator_key)
        if not stateful and estimator_state is None:
            _warn_of_forgotten_state(estimator)
        given = _name(function), function, arguments, keywords, in_axes, has_aux
        if not unroll:
            looped = compile_loops(*given)
            program, flat = looped.program, looped.flat
            value, rest = credited_loops(estimator, looped, estimator_state)
        elif whole_batch:
            whole = compile_whole(*given)
            program, flat = whole.program, whole.flat
            value, rest = credited_whole(estimator, whole, estimator_key, estimator_state)
        else:
            compiled = compile_call(*given)
            program, flat = compiled.plan.program, compiled.flat
            if 0 in compiled.flat.batch_shape:
                value, rest = credited_nothing(estimator, compiled, estimator_state)
            else:
                value, rest = credited_call(estimator, compiled, estimator_key, estimator_state)
        value = differentiable_once(_name(function), value, program, flat.arrays)
        if stateful:
            return value, ((rest.aux, rest.state) if has_aux else rest.state)
        return (value, rest.aux) if has_aux else value

    def init(*arguments: Any, **keywords: Any) -> PyTree:
        given = _name(function), function, arguments, keywords, in_axes, has_aux
        if not unroll:
            return first_states(estimator, compile_loops(*given))
        if whole_batch:
            return first_state_of_whole(estimator, compile_whole(*given))
        return first_state(estimator, compile_call(*given))

    return with_init(call, init)


def value_and_grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    in_axes: InAxes = None,
    estimator: Estimator | None = None,
    stateful: bool = False,
    whole_batch: bool = False,
    unroll: bool = True,
) -> Stateful:
    """Returns a function that gives the value of `function` and an unbiased estimate of its expectation's gradient.

    As `jax.value_and_grad`, for functions in which `hnca.bernoulli` and `hnca.categorical` draw.

    Examples:
        >>> def loss(params, key, x):  # of one example
        ...     code = hnca.bernoulli(key, x @ params["in"])
        ...     return jnp.sum((code @ params["out"] - x) ** 2)
        >>> params = {"in": jnp.zeros((4, 2)), "out": jnp.ones((2, 4))}
        >>> xs, keys = jnp.ones((8, 4)), jax.random.split(jax.random.key(0), 8)
        >>> value, gradient = hnca.value_and_grad(loss, in_axes=(None, 0, 0))(params, keys, xs)
        >>> jax.tree.map(jnp.shape, gradient)
        {'in': (4, 2), 'out': (2, 4)}

    Args:
        function: of one example, returning a float (and, with `has_aux`, something else beside it).
        argnums: which positional arguments to differentiate by. Leaves of them that are no floats get None.
        has_aux: whether `function` returns a pair of the value and something that is handed through, of every example.
            Of an estimator that makes several passes the value is their mean, and this of the first.
        in_axes: which axis of each positional argument is the batch, as for `jax.vmap`; None for an argument that all
            examples share, or, alone, for no batch at all. Keyword arguments are shared.
        estimator: how credits are estimated; by default `hnca.HNCA()`.
        stateful: whether the estimator's state is returned beside the value.
        whole_batch: whether `function` is of the whole batch, as for `hnca.credited`.
        unroll: whether scans with draws in them are written out step by step, as for `hnca.credited`.

    Returns:
        A function of the same arguments, and of `estimator_key`, for estimators that draw samples of their own, and
        `estimator_state`, what an earlier call or its `init` returned. It returns `(value, gradient)`; in place of the
        value, `(value, aux)` with `has_aux`, `(value, state)` if it is stateful, `(value, (aux, state))` with both. The
        value is the mean over the batch, and so is the gradient.

    Raises:
        ValueError: (when called) as for `hnca.credited`, and for an argument that has no floats to differentiate by.
            At once for `argnums` that are names, or none.
    """
    require_function("value_and_grad", function)
    scalar = credited(
        function,
        in_axes=in_axes,
        has_aux=has_aux,
        estimator=estimator,
        stateful=stateful,
        whole_batch=whole_batch,
        unroll=unroll,
    )
    alone = is_count(argnums)
    places = _places(argnums)
    if not places or not all(is_count(place) for place in places):
        raise ValueError(
            f"{_name(function)}: argnums={argnums!r}; expected the place of a positional argument, or several."
        )

    @with_estimator_keywords(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        _require_others(function, places, len(arguments))
        moving, fixed = zip(*(_divided(function, arguments, place) for place in places), strict=True)

        def of_floats(moving: tuple[PyTree, ...]) -> Any:
            whole = list(arguments)
            for place, floats, rest in zip(places, moving, fixed, strict=True):
                whole[place] = eqx.combine(floats, rest)
            return scalar(*whole, **keywords)

        try:
            result, gradients = jax.value_and_grad(of_floats, has_aux=has_aux or stateful)(moving)
        except ValueError as error:
            if str(error).startswith("Reverse-mode differentiation does not work for lax.while_loop"):
                error.add_note(
                    "hnca: a loop has what is learned in it and no fixed number of steps, as where that is drawn; "
                    "write it as a lax.scan of the most there can be, and jnp.where(step < drawn, ...) for those to "
                    "be taken."
                )
            raise
        return result, (gradients[0] if alone else gradients)

    return with_init(call, scalar.init)


def grad(
    function: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    in_axes: InAxes = None,
    estimator: Estimator | None = None,
    stateful: bool = False,
    whole_batch: bool = False,
    unroll: bool = True,
) -> Stateful:
    """Returns a function that gives an unbiased estimate of the gradient of `function`'s expectation.

    Arguments and errors as for `hnca.value_and_grad`. It returns the gradient; with `has_aux` a pair of it and the aux,
    if it is stateful of it and the state, with both `(gradient, (aux, state))`.
    """
    require_function("grad", function)
    both = value_and_grad(
        function,
        argnums,
        has_aux,
        in_axes=in_axes,
        estimator=estimator,
        stateful=stateful,
        whole_batch=whole_batch,
        unroll=unroll,
    )

    @with_estimator_keywords(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        result, gradient = both(*arguments, **keywords)
        return (gradient, result[1]) if has_aux or stateful else gradient

    return with_init(call, both.init)


def _places(argnums: object) -> tuple[Any, ...]:
    """Returns `argnums` as places; what is neither a number nor several is none."""
    if isinstance(argnums, int | np.integer) and not isinstance(argnums, bool):
        return (int(argnums),)
    return tuple(argnums) if isinstance(argnums, Sequence) else ()


def _require_others(function: Callable[..., Any], places: tuple[int, ...], count: int) -> None:
    """Raises a ValueError for places of which two are one, as 1 and -1 of two arguments."""
    there = [place % count for place in places if -count <= place < count]
    if len(set(there)) < len(there):
        raise ValueError(
            f"{_name(function)}: argnums={places} of {count} arguments names one twice; expected each once."
        )


def _warn_of_forgotten_state(estimator: Estimator) -> None:
    """Warns of a baseline that begins anew with every call, and so is worth nothing."""
    if isinstance(estimator, NVIL) or isinstance(getattr(estimator, "baseline", None), Baseline):
        name = type(estimator).__name__
        warn(
            f"hnca: {name}'s baseline learns from call to call, and its state is lost after each: the gradient is as "
            "if it had none. Give stateful=True, and every call the estimator_state that the last one returned."
        )


def _divided(function: Callable[..., Any], arguments: tuple[Any, ...], place: int) -> tuple[PyTree, PyTree]:
    if not -len(arguments) <= place < len(arguments):
        raise ValueError(
            f"{_name(function)}: argnums has {place}; expected a place among the {len(arguments)} positional arguments."
        )
    argument = jax.tree.map(_as_array, arguments[place], is_leaf=lambda leaf: isinstance(leaf, eqx.Module))
    floats, rest = eqx.partition(argument, eqx.is_inexact_array)
    if not jax.tree.leaves(floats):
        others = {type(leaf) for leaf in jax.tree.leaves(rest) if hasattr(leaf, "__dlpack__") and not _is_array(leaf)}
        kinds = ", ".join(sorted(f"{kind.__module__}.{kind.__name__}" for kind in others))
        raise ValueError(
            f"{_name(function)}: argument {place} has no floats to differentiate by; expected "
            + (f"arrays of JAX, jnp.from_dlpack of the {kinds}." if kinds else "argnums to name an argument with some.")
        )
    return floats, rest


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, Array | np.ndarray | np.generic)


def _as_array(leaf: Any) -> Any:
    """Returns a Python float as an array; those in an Equinox module are settings, such as a rate of dropout."""
    return jnp.asarray(leaf) if isinstance(leaf, float) else leaf


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)

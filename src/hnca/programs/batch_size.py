"""What of a program on a whole batch is another number on a batch of one, because it was computed from the size."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from hnca.programs.dependence import depends_on
from hnca.programs.equations import Draw, Equation, Program

# Parameters in which the batch's size stands as one: the shapes of results, which are compared by themselves.
_SHAPES = {
    "broadcast_in_dim": ("shape",),
    "reshape": ("new_sizes",),
    "slice": ("limit_indices",),
    "dynamic_slice": ("slice_sizes",),
}

CURE = (
    "take the mean outside (jnp.mean, or the sum divided by the size), or write the function for one example and give "
    "in_axes, without whole_batch"
)


def numbers_of_the_size(whole: Program, single: Program, batched: Sequence[int]) -> set[int]:
    """Returns the values that read no batch, and yet are others on a batch of one: `len(x)`, a key split by it.

    Args:
        whole: the program on the whole batch.
        single: the same on a batch of one.
        batched: the inputs that have a batch axis.

    Raises:
        ValueError: if the two are not the same but for such values, or if single examples are changed by the size in
            a way that no value stands for (an exponent, a draw's values).
    """
    reading = depends_on(whole, set(batched), through_draws=True)
    alike = dict(zip(whole.inputs, single.inputs, strict=True))
    found: set[int] = set()

    def compare(atom: int, other: int, step: Equation | Draw | None) -> None:
        """Notes whether two atoms of a step are the same."""
        if _is_leaf(whole, atom) and _is_leaf(single, other):
            if not _same(_leaf(whole, atom), _leaf(single, other)):
                found.add(atom)
        elif alike.get(atom) != other:
            raise _other_things(step)

    for step, other in zip(whole.steps, single.steps, strict=False):
        if isinstance(step, Draw):
            if not isinstance(other, Draw):
                raise _other_things(step)
            compare(step.logits, other.logits, step)
            if (step.values, step.name) != (other.values, other.name):
                raise of_the_size(step)
            alike[step.output] = other.output
            continue
        if isinstance(other, Draw) or step.name != other.name or len(step.inputs) != len(other.inputs):
            raise _other_things(step)
        for atom, counterpart in zip(step.inputs, other.inputs, strict=True):
            compare(atom, counterpart, step)
        alike.update(zip(step.outputs, other.outputs, strict=True))
        same = _same_parameters(step.name, step.params, other.params)
        if not reading.isdisjoint(step.inputs):
            if not same:
                raise of_the_size(step)
            continue
        shapes = all(
            whole.avals[a].shape == single.avals[b].shape
            for a, b in zip((*step.inputs, *step.outputs), (*other.inputs, *other.outputs), strict=True)
        )
        for a, b in zip(step.outputs, other.outputs, strict=True):
            if a in whole.known and b in single.known:
                unchanged = _same(whole.known[a], single.known[b])
            else:
                unchanged = same and shapes and found.isdisjoint(step.inputs)
            if not unchanged:
                found.add(a)
    if len(whole.steps) != len(single.steps):
        raise _other_things(None)
    compare(whole.outputs[0], single.outputs[0], None)
    return found


def of_the_size(step: Equation | Draw) -> ValueError:
    """Returns the error for a step of single examples that the batch's size changes."""
    return ValueError(
        f"hnca: {step.name!r} at {step.line} reads a number (or a shape, or a key) that was computed from the size of "
        f"the batch before the sum over it, and an example by itself has no such size; {CURE}."
    )


def _other_things(step: Equation | Draw | None) -> ValueError:
    """Returns the error for a function that is no longer the same from a step on: of another size other steps."""
    where = "in the end" if step is None else f"from {step.name!r} at {step.line} on"
    return ValueError(
        f"hnca: the function does other things for a batch of one, {where}, so it cannot be taken apart; {CURE}."
    )


def _is_leaf(program: Program, atom: int) -> bool:
    return atom in program.constants or (atom in program.known and atom not in program.producers)


def _leaf(program: Program, atom: int) -> Any:
    return program.constants[atom] if atom in program.constants else program.known[atom]


def _same(a: Any, b: Any) -> bool:
    """Returns whether two arrays are the same, number by number; of what is traced, whether it is one thing."""
    if a is b:
        return True
    if isinstance(a, jax.core.Tracer) or isinstance(b, jax.core.Tracer) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    if jax.dtypes.issubdtype(a.dtype, jax.dtypes.extended):
        a, b = jax.random.key_data(a), jax.random.key_data(b)
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def _same_parameters(name: str, params: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    shapes = _SHAPES.get(name, ())
    return params.keys() == others.keys() and all(_alike(params[p], others[p]) for p in params if p not in shapes)


def _alike(a: Any, b: Any) -> bool:
    """Returns whether two parameters say the same; functions (rules for derivatives) are taken to."""
    if isinstance(a, ClosedJaxpr) and isinstance(b, ClosedJaxpr):
        constants = [(np.shape(x) == np.shape(y) and _same(x, y)) for x, y in zip(a.consts, b.consts, strict=False)]
        return len(a.consts) == len(b.consts) and all(constants) and _alike(a.jaxpr, b.jaxpr)
    if isinstance(a, Jaxpr) and isinstance(b, Jaxpr):
        return _same_jaxprs(a, b)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(_alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    if callable(a) and callable(b):
        return True
    return a is b or bool(a == b) or repr(a) == repr(b)


def _same_jaxprs(a: Jaxpr, b: Jaxpr) -> bool:
    """Returns whether two jaxprs are the same, but for shapes."""
    if [len(v) for v in (a.eqns, a.invars, a.constvars, a.outvars)] != [
        len(v) for v in (b.eqns, b.invars, b.constvars, b.outvars)
    ]:
        return False
    alike = dict(zip([*a.invars, *a.constvars], [*b.invars, *b.constvars], strict=True))

    def same(x: Any, y: Any) -> bool:
        if isinstance(x, Literal) or isinstance(y, Literal):
            return isinstance(x, Literal) and isinstance(y, Literal) and _same(np.asarray(x.val), np.asarray(y.val))
        return alike.get(x) is y

    for one, other in zip(a.eqns, b.eqns, strict=True):
        if one.primitive.name != other.primitive.name or len(one.invars) != len(other.invars):
            return False
        if not all(same(x, y) for x, y in zip(one.invars, other.invars, strict=True)):
            return False
        if not _same_parameters(one.primitive.name, one.params, other.params):
            return False
        alike.update(zip(one.outvars, other.outvars, strict=True))
    return all(same(x, y) for x, y in zip(a.outvars, b.outvars, strict=True))

"""The primitives that an equation of a jaxpr applies, itself or somewhere inside."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from hnca.programs import primitives
from hnca.programs.inside import inner_jaxprs


class Applied(NamedTuple):
    """A primitive that is applied.

    Attributes:
        name: its name.
        inputs: the dtypes of what it reads.
        outputs: the dtypes of what it makes that is used.
    """

    name: str
    inputs: tuple[np.dtype, ...]
    outputs: tuple[np.dtype, ...]

    @property
    def reads_floats(self) -> bool:
        """Whether it reads what may be an ulp off."""
        return any(jnp.issubdtype(dtype, jnp.inexact) for dtype in self.inputs)

    @property
    def jumps(self) -> bool:
        """Whether an ulp may make another result."""
        if self.name == "convert_element_type":
            return not any(jnp.issubdtype(dtype, jnp.inexact) for dtype in self.outputs)
        return self.name in primitives.JUMPING and not self._sorts_alone

    @property
    def counts(self) -> bool:
        """Whether it tells floats apart that are an ulp apart, or of opposite sign and both 0."""
        return self.name in primitives.COUNTING and self.reads_floats and not self._sorts_alone

    @property
    def _sorts_alone(self) -> bool:
        """Whether numbers are sorted and nothing by them, which is continuous."""
        if self.name == "sort":
            return len(self.inputs) == 1
        return self.name in ("top_k", "approx_top_k") and not any(np.issubdtype(d, np.integer) for d in self.outputs)


_FEWEST_DIGITS, _LEAST_RANGE = 7, 5
"""In bits, the mantissa and the exponent of floats whose rounding counts as noise: bfloat16's and float16's."""


def name_of(equation: Any) -> str:
    """Returns the name of a jaxpr's equation's primitive; of a conversion to few bits that of a rounding.

    A rounding to many bits is a copy, such as those that JAX puts between the passes of `jax.checkpoint`.

    Args:
        equation: of a jaxpr.
    """
    name, params = equation.primitive.name, equation.params
    if name == primitives.ROUNDING:
        few = params["mantissa_bits"] < _FEWEST_DIGITS or params["exponent_bits"] < _LEAST_RANGE
        return name if few else "copy"
    if name != "convert_element_type" or equation.invars[0].aval.dtype in (np.bool_, params["new_dtype"]):
        return name
    after = params["new_dtype"]
    few = jnp.issubdtype(after, jnp.floating) and jnp.finfo(after).nmant < _FEWEST_DIGITS
    return primitives.ROUNDING if few else name


def applied_by(
    equation: Any, used: Sequence[bool] | None = None, moving: Sequence[bool] | None = None
) -> list[Applied]:
    """Returns the primitives that an equation applies; what is called is not one itself, but what is inside of it.

    A loop, or what chooses between branches, is one, and so is what is inside. Of a function with a derivative of its
    own that is the function.

    Args:
        equation: of a jaxpr.
        used: which of its results are; None for all.
        moving: which of its arguments are no numbers of the text; None for all.
    """
    name, used = name_of(equation), [True] * len(equation.outvars) if used is None else used
    if name in primitives.CUSTOM_DERIVATIVES:
        inner = inner_jaxprs({"": equation.params[primitives.CUSTOM_DERIVATIVES[name]]})
    else:
        inner = inner_jaxprs(equation.params)
    is_called = name in primitives.CUSTOM_DERIVATIVES or name in primitives.ALWAYS_INLINED
    known = (used, moving) if is_called else (None, None)
    found = [each for jaxpr in inner for each in _inside(jaxpr, *known)]
    if is_called:
        return found
    made = [variable for variable, is_used in zip(equation.outvars, used, strict=True) if is_used]
    # What orders effects has no dtype.
    inputs, outputs = (tuple(v.aval.dtype for v in s if hasattr(v.aval, "dtype")) for s in (equation.invars, made))
    return [Applied(name, inputs, outputs), *found]


def _inside(jaxpr: Any, used: Sequence[bool] | None, moving: Sequence[bool] | None) -> list[Applied]:
    """Returns the primitives by which the results of a jaxpr are made of its arguments.

    Of a log-sum JAX computes a sign, too; and in a variance it compares a number of the text.
    """
    moving = [True] * len(jaxpr.invars) if moving is None else moving
    made = {id(variable) for variable, is_moving in zip(jaxpr.invars, moving, strict=True) if is_moving}
    for equation in jaxpr.eqns:
        if any(id(variable) in made for variable in equation.invars):
            made.update(id(variable) for variable in equation.outvars)
    used = [True] * len(jaxpr.outvars) if used is None else used
    wanted = {id(variable) for variable, is_used in zip(jaxpr.outvars, used, strict=True) if is_used}
    found: list[Applied] = []
    for equation in reversed(jaxpr.eqns):
        needed = [id(variable) in wanted for variable in equation.outvars]
        if equation.effects or any(needed):
            wanted.update(id(variable) for variable in equation.invars)
            arguments = [id(variable) in made for variable in equation.invars]
            if any(arguments):
                found = applied_by(equation, needed, arguments) + found
    return found

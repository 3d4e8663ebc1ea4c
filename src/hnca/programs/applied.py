"""The primitives that an equation of a jaxpr applies, itself or somewhere inside."""

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
        outputs: the dtypes of what it makes.
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
            return not jnp.issubdtype(self.outputs[0], jnp.inexact)
        return self.name in primitives.JUMPING and not self._sorts_alone

    @property
    def counts(self) -> bool:
        """Whether it tells floats apart that are an ulp apart, or of opposite sign and both 0."""
        return self.name in primitives.COUNTING and self.reads_floats and not self._sorts_alone

    @property
    def _sorts_alone(self) -> bool:
        """Whether numbers are sorted and nothing by them, which is continuous."""
        return self.name == "sort" and len(self.inputs) == 1


def applied_by(equation: Any) -> list[Applied]:
    """Returns the primitives that an equation applies; what is called is not one itself, but what is inside of it.

    A loop, or what chooses between branches, is one, and so is what is inside. Of a function with a derivative of its
    own that is the function.
    """
    name = equation.primitive.name
    if name in primitives.CUSTOM_DERIVATIVES:
        inner = inner_jaxprs({"": equation.params[primitives.CUSTOM_DERIVATIVES[name]]})
    else:
        inner = inner_jaxprs(equation.params)
    found = [each for jaxpr in inner for step in jaxpr.eqns for each in applied_by(step)]
    if name in primitives.CUSTOM_DERIVATIVES or name in primitives.ALWAYS_INLINED:
        return found
    # What orders effects has none.
    inputs, outputs = (
        tuple(v.aval.dtype for v in side if hasattr(v.aval, "dtype")) for side in (equation.invars, equation.outvars)
    )
    return [Applied(name, inputs, outputs), *found]

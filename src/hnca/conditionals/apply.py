"""Any function."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Float

from hnca._names import checked_names
from hnca._options import require_callable
from hnca.conditionals._checks import checked_size
from hnca.conditionals._parametrised import Parametrised, parametrised
from hnca.units import Conditional


class Apply(Conditional):
    """Any function or Equinox module of the parents, written for one example.

    The credit on the logits is backpropagated through it. When a parent is a stochastic layer, messages to that
    parent re-evaluate the function for every value of every parent unit: exact, and dearer than `Dense`.

    Example:
        ```python
        torso = eqx.nn.MLP(784, 10, width_size=200, depth=2, key=key)
        hnca.Categorical(hnca.Apply(torso, "image", 10))
        ```

    Attributes:
        function: takes one array a parent, without batch axes, and returns `[out_features]`; held as a
            `Parametrised`, so that its leaves are its arrays alone.
    """

    function: Parametrised
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[None, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)

    def __init__(self, function: Callable[..., Array], parents: str | Sequence[str], out_features: int):
        """Args:
            function: see the class. The arrays of an Equinox module are parameters, its other leaves static; arrays
                that a plain function closes over are constants.
            parents: the name of the parent, or several.
            out_features: how many logits the function returns; checked when the network is built.

        Raises:
            ValueError: if a parent is named twice, the size is under 1, or the function is none.
        """
        require_callable("Apply", "function", function, "the parents")
        self.function = parametrised(function)
        self.parents = checked_names("Apply", "parents", parents)
        self.parent_sizes = (None,) * len(self.parents)
        self.out_features = checked_size("Apply", "out_features", out_features)

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        function: Callable[..., Array] = self.function
        for _ in batch_shape:
            function = jax.vmap(function)
        return function(*features)

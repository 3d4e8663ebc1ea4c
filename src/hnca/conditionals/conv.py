"""A convolution of a map of units."""

import itertools
import math
from collections.abc import Iterator, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from hnca._keys import required_key
from hnca._names import checked_name
from hnca._options import is_count
from hnca.conditionals._checks import checked_size, checked_sizes, dtype_of_parameters, over_batch
from hnca.units import Conditional


class Conv(Conditional):
    """A two-dimensional convolution of one parent that is a map `[height, width, channels]`, flattened in this order.

    The layer above it is a map too, flattened likewise; `out_shape` is its shape. Weights start Uniform(-b, b) with
    `b = sqrt(6 / (fan_in + fan_out))`, biases at 0.

    Example:
        ```python
        first = hnca.Conv("image", (28, 28, 1), 16, kernel_size=3, stride=2, key=key)
        layer = hnca.Bernoulli(first)    # 13 * 13 * 16 units
        ```

    Attributes:
        weight: `[kernel height, kernel width, in channels, out channels]`.
        bias: `[out channels]`.
        in_shape: `(height, width, channels)` of the parent.
        out_shape: `(height, width, channels)` of the logits.
        stride: `(vertical, horizontal)`.
        padding: `((top, bottom), (left, right))`.
        dilation: `(vertical, horizontal)`.
    """

    weight: Float[Array, "kernel_height kernel_width in_channels out_channels"]
    bias: Float[Array, " out_channels"]
    parents: tuple[str, ...] = eqx.field(static=True)
    parent_sizes: tuple[int, ...] = eqx.field(static=True)
    out_features: int = eqx.field(static=True)
    in_shape: tuple[int, int, int] = eqx.field(static=True)
    out_shape: tuple[int, int, int] = eqx.field(static=True)
    stride: tuple[int, int] = eqx.field(static=True)
    padding: tuple[tuple[int, int], tuple[int, int]] = eqx.field(static=True)
    dilation: tuple[int, int] = eqx.field(static=True)

    def __init__(
        self,
        parent: str,
        in_shape: Sequence[int],
        out_channels: int,
        kernel_size: int | Sequence[int],
        *,
        key: Key[Array, ""],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        dtype: DTypeLike | None = None,
    ):
        """Args:
            parent: the name of the parent.
            in_shape: `(height, width, channels)` of the parent.
            out_channels: of the map that is returned.
            kernel_size: one number or `(height, width)`.
            key: draws the weights.
            stride: one number or `(vertical, horizontal)`.
            padding: zeros on every side, one number or `(vertical, horizontal)`.
            dilation: between the kernel's elements, one number or `(vertical, horizontal)`.
            dtype: of the parameters; by default JAX's default float.

        Raises:
            ValueError: for a shape that is not three sizes, a size under 1, a kernel that is larger than
                the map, what is no key, or a dtype that is no float's.
        """
        shape = checked_sizes("Conv", "in_shape", in_shape)
        if len(shape) != 3:
            raise ValueError(f"Conv: in_shape={in_shape!r}; expected (height, width, channels).")
        height, width, channels = shape
        out_channels = checked_size("Conv", "out_channels", out_channels)
        kernel = _pair("kernel_size", kernel_size, 1)
        self.parents = (checked_name("Conv", "parent", parent),)
        self.in_shape, self.stride = (height, width, channels), _pair("stride", stride, 1)
        self.dilation = _pair("dilation", dilation, 1)
        vertical, horizontal = _pair("padding", padding, 0)
        self.padding = (vertical, vertical), (horizontal, horizontal)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, self.dilation, strict=True)]
        rooms = [height + 2 * vertical - spans[0], width + 2 * horizontal - spans[1]]
        if min(rooms) < 0:
            raise ValueError(
                f"Conv: kernel_size={kernel_size!r} spans {tuple(spans)} of parent {parent!r}, whose padded map is "
                f"{(height + 2 * vertical, width + 2 * horizontal)}; expected at most that."
            )
        sizes = [room // step + 1 for room, step in zip(rooms, self.stride, strict=True)]
        self.out_shape = (sizes[0], sizes[1], out_channels)
        self.parent_sizes, self.out_features = (math.prod(self.in_shape),), math.prod(self.out_shape)
        dtype = dtype_of_parameters("Conv", dtype)
        bound = (6 / (math.prod(kernel) * (channels + out_channels))) ** 0.5
        key = required_key("Conv", key, "that draws the weights")
        self.weight = jax.random.uniform(key, (*kernel, channels, out_channels), dtype, -bound, bound)
        self.bias = jnp.zeros(out_channels, dtype)

    def __call__(
        self, features: tuple[Array, ...], batch_shape: tuple[int, ...]
    ) -> Float[Array, "*batch out_features"]:
        maps = self.convolve(features[0].reshape(-1, *self.in_shape)) + over_batch(self.bias, (1, 1, 1))
        return maps.reshape(*batch_shape, self.out_features)

    def convolve(self, maps: Float[Array, "batch height width in_channels"]) -> Array:
        """Returns the convolution without the bias: `[batch, *out_shape]` of `[batch, *in_shape]`.

        A matrix product for every element of the kernel: XLA's own convolution takes a CPU twenty times longer as soon
        as it stands in a loop.
        """
        total = jnp.zeros((len(maps), *self.out_shape), maps.dtype)
        for offset, places in self.read_places(maps):
            total += places @ self.weight[offset]
        return total

    def read_places(
        self, maps: Float[Array, "batch height width in_channels"]
    ) -> Iterator[tuple[tuple[int, int], Float[Array, "batch out_height out_width in_channels"]]]:
        """Yields every element of the kernel with what it reads for every place of the result."""
        padded = jnp.pad(maps, ((0, 0), *self.padding, (0, 0)))
        for vertical, horizontal in itertools.product(*(range(size) for size in self.weight.shape[:2])):
            rows, columns = self._reach(0, vertical), self._reach(1, horizontal)
            yield (vertical, horizontal), padded[:, rows, columns]

    def _reach(self, axis: int, offset: int) -> slice:
        start, step = offset * self.dilation[axis], self.stride[axis]
        return slice(start, start + (self.out_shape[axis] - 1) * step + 1, step)


def _pair(argument: str, value: int | Sequence[int], least: int) -> tuple[int, int]:
    sizes = tuple(value) if isinstance(value, tuple | list | np.ndarray) else (value,)
    if len(sizes) not in (1, 2) or not all(is_count(size, least) for size in sizes):
        raise ValueError(f"Conv: {argument}={value!r}; expected one or two whole numbers of at least {least}.")
    return int(sizes[0]), int(sizes[-1])

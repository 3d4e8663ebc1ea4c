"""What conditionals check when they are built, and how a bias meets the batch."""

from jaxtyping import Array


def checked_size(owner: str, argument: str, size: int) -> int:
    """Returns the size; one under 1 is a ValueError."""
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"{owner}: {argument}={size!r}; expected a whole number of at least 1.")
    return size


def over_batch(vector: Array, batch_shape: tuple[int, ...]) -> Array:
    """Returns a vector with a leading axis of 1 for every batch axis that it has not itself.

    A vector for every example, `[*batch, size]`, is one for all passes of it too.
    """
    return vector.reshape((1,) * (len(batch_shape) + 1 - vector.ndim) + vector.shape)

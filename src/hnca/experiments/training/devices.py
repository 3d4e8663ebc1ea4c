"""Where a run's arrays are: seeds are divided over devices first, then each batch."""

from collections.abc import Callable
from math import gcd
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree

from hnca.experiments.settings import SettingsError

SEEDS, BATCH = "seeds", "batch"


class Placement:
    """Devices as a table: a row for every group of seeds, a column for every part of a batch.

    Every process of a run makes the same one. What it places is one array over all devices of all processes, and all
    processes have to place, compute and collect in the same order.

    Attributes:
        mesh: the table, with axes `seeds` and `batch`.
    """

    mesh: Mesh

    def __init__(self, devices: int | None, seeds: int, batch_size: int):
        """Args:
            devices: how many to use; None for one, or for all there are where several processes run together.
            seeds: of which each row trains an equal number.
            batch_size: of which each column sees an equal part.

        Raises:
            SettingsError: if there are fewer devices, or seeds and batches cannot be divided equally.
        """
        require_devices()
        available = jax.devices()
        together = jax.process_count() > 1
        count = (len(available) if together else 1) if devices is None else devices
        if count > len(available) or (together and count < len(available)):
            number = f"{len(available)}, what the processes have together" if together else f"at most {len(available)}"
            raise SettingsError(f"--devices {count}: expected {number} ({available[0].platform})")
        rows = gcd(count, seeds)
        columns = count // rows
        if batch_size % columns:
            raise SettingsError(
                f"--devices {count}: {seeds} seed(s) leave {columns} devices to a batch, and {batch_size} images "
                f"cannot be divided by that; expected another number of devices, seeds or images a batch"
            )
        table = np.asarray(available[:count]).reshape(rows, columns)
        self.mesh = Mesh(table, (SEEDS, BATCH), axis_types=(AxisType.Auto, AxisType.Auto))

    @property
    def by_seed(self) -> NamedSharding:
        """Of arrays with a leading axis of seeds."""
        return NamedSharding(self.mesh, PartitionSpec(SEEDS))

    @property
    def everywhere(self) -> NamedSharding:
        """Of arrays that every device has whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    def divided(self, batch: Int[Array, " batch"]) -> Int[Array, " batch"]:
        """Returns the indices of one seed's batch, divided over the columns, and with them all that follows."""
        return jax.lax.with_sharding_constraint(batch, NamedSharding(self.mesh, PartitionSpec(BATCH)))

    def over_seeds(self, function: Callable[..., PyTree], in_axes: Any) -> Callable[..., PyTree]:
        """Returns the function mapped over seeds, which are divided over the rows."""
        return jax.vmap(function, in_axes=in_axes, spmd_axis_name=SEEDS)

    def divide(self, tree: PyTree) -> PyTree:
        """Returns arrays with a leading axis of seeds, which every process has alike, each row with its own."""
        return jax.jit(lambda leaves: leaves, out_shardings=self.by_seed)(tree)

    def broadcast(self, tree: PyTree) -> PyTree:
        """Returns the arrays, which every process has alike, on every device."""
        return jax.device_put(tree, self.everywhere)

    def collect(self, tree: PyTree) -> PyTree:
        """Returns the arrays whole on every device, so that each process can read them."""
        return jax.jit(lambda leaves: leaves, out_shardings=self.everywhere)(tree)

    def __str__(self) -> str:
        rows, columns = self.mesh.devices.shape
        if self.mesh.size == 1:
            return "one device"
        processes = f" of {jax.process_count()} processes" if jax.process_count() > 1 else ""
        return f"{self.mesh.size} devices{processes}: seeds over {rows}, batches over {columns}"


def require_devices() -> None:
    """Raises a SettingsError if JAX cannot use the devices that it was told to use."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter where its package for CUDA is missing
        told = (str(error) or "not those that JAX_PLATFORMS names").splitlines()[0]
        raise SettingsError(f"no devices: {told}") from None


def is_writer() -> bool:
    """Returns whether this process is the one that writes and prints."""
    return jax.process_index() == 0

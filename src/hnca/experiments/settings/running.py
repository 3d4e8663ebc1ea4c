"""The settings of how runs are kept and shown, and of devices and processes that share one; none changes a number."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from hnca.experiments.settings._checks import SettingsError, check_count


@dataclass(frozen=True)
class RunningSettings:
    """How often a run is kept, what is watched, and which runs are this command's."""

    checkpoint_every: int = 1
    """How many epochs lie between checkpoints; after a kill a run goes on from the last one."""
    check_finite: bool = False
    """Look after every update, not only after every epoch, whether a layer has left the finite numbers."""
    shard: str | None = None
    """I/N: train only every N-th run, beginning with the I-th (1, 2, ...), as one of N jobs of an array."""
    quiet: Annotated[bool, tyro.conf.arg(aliases=["-q"])] = False
    """Print nothing but what goes wrong."""
    tensorboard: bool = False
    """Also write TensorBoard event files into every run's directory (needs tensorboardX)."""

    def __post_init__(self):
        check_count("checkpoint_every", self.checkpoint_every)
        if self.shard is not None:
            first, _, step = self.shard.partition("/")
            if not (first.isascii() and first.isdigit() and step.isascii() and step.isdigit()):
                raise SettingsError(f"--shard {self.shard}: expected I/N, two whole numbers")
            if not 1 <= int(first) <= int(step):
                raise SettingsError(f"--shard {self.shard}: expected I from 1 to N")


@dataclass(frozen=True)
class ProcessSettings:
    """How many devices train, and which processes."""

    devices: int | None = None
    """How many devices to divide the seeds, then the batches, over; by default one, or all that the processes have."""
    distributed: bool = False
    """Join the processes that Slurm, Open MPI or Kubernetes started together, or the hosts of a TPU."""
    coordinator: str | None = None
    """HOST:PORT where the process with number 0 listens; with --processes and --process-id."""
    processes: int | None = None
    """How many processes run together; with --coordinator."""
    process_id: int | None = None
    """The number of this process among them: 0, 1, ...; with --coordinator."""
    patience: int = 300
    """How many seconds to wait for the other processes."""

    def __post_init__(self):
        if self.devices is not None:
            check_count("devices", self.devices)
        check_count("patience", self.patience)
        if self.coordinator is None and self.processes is None and self.process_id is None:
            return
        if self.coordinator is None or self.processes is None or self.process_id is None:
            raise SettingsError("--coordinator, --processes, --process-id: expected all three, or none")
        if self.distributed:
            raise SettingsError("--distributed --coordinator: expected one of them")
        check_count("processes", self.processes)
        if not 0 <= self.process_id < self.processes:
            raise SettingsError(f"--process-id {self.process_id}: expected 0 to {self.processes - 1}")
        host, _, port = self.coordinator.rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise SettingsError(f"--coordinator {self.coordinator}: expected HOST:PORT")

"""The settings of a run that several devices or processes share."""

from dataclasses import dataclass

from hnca.experiments.settings._checks import SettingsError, check_count


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
    """How many processes run together."""
    process_id: int | None = None
    """The number of this one: 0, 1, ..."""
    patience: int = 300
    """Seconds to wait for the other processes."""

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
        if not host or not port.isdigit():
            raise SettingsError(f"--coordinator {self.coordinator}: expected HOST:PORT")

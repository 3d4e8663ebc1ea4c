"""The settings of how runs are kept, shown and shared out; none of them changes a number."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from hnca.experiments.settings._checks import SettingsError, check_count


@dataclass(frozen=True)
class KeepingSettings:
    """How often a run is kept, what is watched, and which runs are this command's."""

    checkpoint_every: int = 1
    """Epochs between checkpoints; after a kill a run goes on from the last one."""
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

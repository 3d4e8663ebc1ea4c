"""How long all runs of a command will take, as soon as one epoch of the first has shown its pace."""

from collections.abc import Sequence
from datetime import timedelta

from hnca.experiments.runs.plan import Run
from hnca.experiments.store import newest_epoch


class Forecast:
    """Says once how long what is left of several runs will take."""

    def __init__(self, runs: Sequence[Run]):
        """Args:
        runs: all of the command.
        """
        self._runs, self._said = runs, False

    def line(self, run: Run, number: int, seconds: float) -> str | None:
        """Returns what to print after an epoch, or None if there is nothing to say, or it has been said.

        Args:
            run: to which the epoch belongs.
            number: of the epoch.
            seconds: it took. Every epoch left is taken to cost the same for each layer, and checkpoints to be whole.
        """
        if self._said:
            return None
        self._said = True
        others = [other for other in self._runs if other.directory != run.directory]
        left = [(other.layers, other.epochs - newest_epoch(other.directory)) for other in others]
        left = [(layers, epochs) for layers, epochs in left if epochs > 0]
        if not left:
            return None
        total = sum(epochs * layers for layers, epochs in [*left, (run.layers, run.epochs - number)])
        pace = seconds / run.layers
        more = "1 more run" if len(left) == 1 else f"{len(left)} more runs"
        return (
            f"{more} and what is left of this one take about {timedelta(seconds=round(total * pace))} "
            f"if every epoch takes {pace:.1f} s a layer"
        )

"""A call whose loops stay loops, traced."""

from dataclasses import dataclass

from hnca.programs.arguments import Flat
from hnca.programs.crediting import Results
from hnca.programs.equations import Program
from hnca.programs.loop import loops_of
from hnca.programs.loops.reach import Place, Reach
from hnca.programs.loops.running import Site
from hnca.programs.loops.terms import Terms


@dataclass(frozen=True)
class Looped:
    """A call whose loops stay loops.

    Attributes:
        program: of one example.
        terms: what its result is a linear function of.
        reach: which draws can change which terms.
        sites: its draws, those inside loops too.
        flat: the arguments.
        structure: of its results.
    """

    program: Program
    terms: Terms
    reach: Reach
    sites: dict[Site, Place]
    flat: Flat
    structure: Results

    def is_reversed(self, site: Site) -> bool:
        """Returns whether the outermost loop around a draw goes from the end."""
        return any(loop.outputs[0] == site[0] and loop.reverse for loop in loops_of(self.program))

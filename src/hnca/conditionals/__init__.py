"""Conditionals: how the parents of a layer set its logits. One a file."""

from hnca.conditionals._parametrised import Parametrised as Parametrised
from hnca.conditionals._parametrised import parametrised as parametrised
from hnca.conditionals.apply import Apply as Apply
from hnca.conditionals.conv import Conv as Conv
from hnca.conditionals.dense import Dense as Dense
from hnca.conditionals.free import Free as Free
from hnca.conditionals.sequential import Sequential as Sequential
from hnca.conditionals.sequential import Stage as Stage
from hnca.conditionals.sequential import apply_stage as apply_stage

"""Runs on disk: what was set, what was measured, where training stood, and who is at work on it. Imports no JAX."""

from .checkpoint import newest_epoch as newest_epoch
from .checkpoint import read_checkpoint as read_checkpoint
from .checkpoint import write_checkpoint as write_checkpoint
from .claim import Claim as Claim
from .claim import ClaimedError as ClaimedError
from .claim import LostClaimError as LostClaimError
from .claim import Owner as Owner
from .claim import first_given_up as first_given_up
from .configuration import Configuration as Configuration
from .configuration import StoredRunError as StoredRunError
from .configuration import differences as differences
from .configuration import odd_parts as odd_parts
from .configuration import read_configuration as read_configuration
from .configuration import stored_runs as stored_runs
from .configuration import write_configuration as write_configuration
from .metrics import MetricsFile as MetricsFile
from .metrics import read_metrics as read_metrics
from .metrics import read_rows as read_rows
from .resuming import Progress as Progress
from .resuming import begin_anew as begin_anew
from .resuming import continue_after as continue_after
from .resuming import progress as progress
from .rows import Row as Row
from .rows import complete as complete
from .rows import distinct as distinct
from .rows import is_known as is_known

"""Runs on disk: what was set, what was measured, where training stood, and who is at work on it. Imports no JAX."""

from hnca.experiments.store.atomic import write_atomically as write_atomically
from hnca.experiments.store.checkpoint import read_checkpoint as read_checkpoint
from hnca.experiments.store.checkpoint import write_checkpoint as write_checkpoint
from hnca.experiments.store.claim import Claim as Claim
from hnca.experiments.store.claim import ClaimedError as ClaimedError
from hnca.experiments.store.claim import LostClaimError as LostClaimError
from hnca.experiments.store.claim import Owner as Owner
from hnca.experiments.store.claim import first_given_up as first_given_up
from hnca.experiments.store.configuration import Configuration as Configuration
from hnca.experiments.store.configuration import StoredRunError as StoredRunError
from hnca.experiments.store.configuration import differences as differences
from hnca.experiments.store.configuration import read_configuration as read_configuration
from hnca.experiments.store.configuration import stored_runs as stored_runs
from hnca.experiments.store.configuration import write_configuration as write_configuration
from hnca.experiments.store.metrics import MetricsFile as MetricsFile
from hnca.experiments.store.metrics import Row as Row
from hnca.experiments.store.metrics import read_metrics as read_metrics
from hnca.experiments.store.progress import Progress as Progress
from hnca.experiments.store.progress import begin_anew as begin_anew
from hnca.experiments.store.progress import continue_after as continue_after
from hnca.experiments.store.progress import progress as progress

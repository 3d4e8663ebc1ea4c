"""Messages: how the log-probability of a child layer answers to one unit of a parent, all else fixed."""

from hnca.messages._dispatch import likelihood_changes as likelihood_changes
from hnca.messages._dispatch import likelihood_contrast as likelihood_contrast
from hnca.messages._dispatch import message as message
from hnca.messages._dispatch import message_beside_entropy as message_beside_entropy
from hnca.messages._dispatch import message_changes as message_changes
from hnca.messages.at_once import MOST_OPERATIONS as MOST_OPERATIONS
from hnca.messages.at_once import SmallSum as SmallSum
from hnca.messages.at_once import contrasts_at_once as contrasts_at_once
from hnca.messages.changes import Changes as Changes
from hnca.messages.changes import changes_at as changes_at
from hnca.messages.changes import contrast_of_all as contrast_of_all
from hnca.messages.changes import slopes as slopes
from hnca.messages.entropy import entropy_contrast as entropy_contrast
from hnca.messages.entropy import entropy_contrast_of as entropy_contrast_of
from hnca.messages.enumeration import changes_by_enumeration as changes_by_enumeration
from hnca.messages.enumeration import contrast_by_enumeration as contrast_by_enumeration
from hnca.messages.enumeration import enumerated_contrast as enumerated_contrast
from hnca.messages.mean import mean_changes as mean_changes
from hnca.messages.mean import mean_contrast as mean_contrast
from hnca.messages.product import product_message as product_message
from hnca.messages.product import softplus_sum as softplus_sum
from hnca.messages.rank_one import changes_by_rows as changes_by_rows
from hnca.messages.reevaluation import is_reevaluated as is_reevaluated
from hnca.messages.reevaluation import reevaluation as reevaluation
from hnca.messages.softmax import softmax_message as softmax_message

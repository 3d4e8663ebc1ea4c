"""Messages: how the log-probability of a child layer answers to one unit of a parent, all else fixed."""

from hnca.messages._dispatch import likelihood_contrast as likelihood_contrast
from hnca.messages._dispatch import message as message
from hnca.messages._dispatch import message_beside_entropy as message_beside_entropy
from hnca.messages.entropy import entropy_contrast as entropy_contrast
from hnca.messages.entropy import entropy_contrast_of as entropy_contrast_of
from hnca.messages.enumeration import contrast_by_enumeration as contrast_by_enumeration
from hnca.messages.enumeration import contrast_of_changes as contrast_of_changes
from hnca.messages.enumeration import enumerated_contrast as enumerated_contrast
from hnca.messages.mean import mean_contrast as mean_contrast
from hnca.messages.product import product_message as product_message
from hnca.messages.product import softplus_sum as softplus_sum
from hnca.messages.softmax import softmax_message as softmax_message

"""Messages: how the log-probability of a child layer answers to one unit of a parent, all else fixed."""

from hnca.messages._dispatch import message as message
from hnca.messages.enumeration import enumerated_message as enumerated_message
from hnca.messages.product import product_message as product_message
from hnca.messages.product import softplus_sum as softplus_sum
from hnca.messages.softmax import softmax_message as softmax_message

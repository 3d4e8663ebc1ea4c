"""An optional compiled kernel for the messages, entropies and means of Bernoulli children of Bernoulli parents.

Pure JAX (`hnca.messages.product`, `hnca.messages.energy`) is the reference, and what is used where this cannot be.
"""

from hnca.messages.compiled.calls import growth_and_energy as growth_and_energy
from hnca.messages.compiled.calls import mean as mean
from hnca.messages.compiled.calls import message as message
from hnca.messages.compiled.choice import Status as Status
from hnca.messages.compiled.choice import is_used as is_used
from hnca.messages.compiled.choice import status as status

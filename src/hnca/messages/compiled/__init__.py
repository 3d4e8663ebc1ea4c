"""An optional compiled kernel for the messages and entropies of Bernoulli children of Bernoulli parents.

Pure JAX (`hnca.messages.product`, `hnca.messages.energy`) is the reference, and what is used where this cannot be.
"""

from hnca.messages.compiled.calls import energy_after_flip as energy_after_flip
from hnca.messages.compiled.calls import softplus_growth as softplus_growth
from hnca.messages.compiled.choice import Status as Status
from hnca.messages.compiled.choice import is_used as is_used
from hnca.messages.compiled.choice import status as status

"""Unit families: how a layer of discrete units draws its values from logits, and the algebra of its credit."""

from hnca.units._base import Conditional as Conditional
from hnca.units._base import Layer as Layer
from hnca.units.bernoulli import Bernoulli as Bernoulli
from hnca.units.categorical import Categorical as Categorical

"""What is explained, as a picture: layers above, components below, and the colours of one layer's credit."""

from hnca.objectives.pictures.graph import Graph as Graph
from hnca.objectives.pictures.mermaid import mermaid as mermaid
from hnca.objectives.pictures.svg import svg as svg

"""How long an update takes, beside a straight-through (backpropagation) update of the same network."""

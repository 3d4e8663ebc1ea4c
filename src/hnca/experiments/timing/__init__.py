"""How long an update takes, beside backpropagation through the same network."""

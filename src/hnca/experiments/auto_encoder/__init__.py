"""The auto-encoder experiment's networks, what they learn from, and what is measured of them."""

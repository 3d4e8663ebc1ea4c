"""Runs: which there are, who trains them, and what is written and shown on the way."""

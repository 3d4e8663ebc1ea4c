"""Loops that stay loops: credit for the draws of a long `jax.lax.scan`, which is not written out step by step."""

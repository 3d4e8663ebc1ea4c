"""The paper's experiments. Nothing here is imported by the core."""

"""What runs have measured, as figures, tables and pictures."""

"""A page that shows what the runs in a directory have measured, and needs nothing else to be looked at."""

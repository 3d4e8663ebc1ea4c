"""Trains networks, one a seed, on the devices and by the processes there are."""

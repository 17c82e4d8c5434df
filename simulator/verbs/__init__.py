"""The small verbs of modem-sim, one a file; each has a click command called `command`."""

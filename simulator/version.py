"""The version of the distribution `modem-sim`; simulator/pyproject.toml reads it from here."""

VERSION = "0.1.0"

"""modem-agent: the daemon on a household's 4G modem that counts, shapes fairly and reports."""

__version__ = "0.1.0"

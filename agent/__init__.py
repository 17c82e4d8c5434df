"""modem-agent: the daemon on a household's 4G modem that counts, shapes fairly and reports."""

__version__ = "0.1.0"
# Security fixes are made until this day; firmware-config/SECURITY.md says what an operator may count on.
# Regulation (EU) 2024/2847, art. 13(8): at least five years, unless the product is in use for less.
SUPPORTED_UNTIL = "2031-12-31"

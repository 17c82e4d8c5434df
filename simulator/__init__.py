"""The simulator: a modem, a household, an operator."""

"""`modem-support ddi`: a fleet under an update server that speaks hawkBit's Direct Device Integration API."""

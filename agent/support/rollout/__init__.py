"""`modem-support update`: another version of the agent for a fleet, ring by ring."""

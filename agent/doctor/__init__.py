"""The doctor: evidence of one device, the checks that judge it, and the bundle for a ticket."""

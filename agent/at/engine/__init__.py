"""The protocol without I/O: bytes, grammar, final and unsolicited result codes."""

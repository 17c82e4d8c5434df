"""ICMP, DNS, HTTP and probes over the WAN: one of each, bounded in bytes and time."""

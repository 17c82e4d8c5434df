"""Network namespaces for tests: make, wire with veths, run in them, and be sure that nothing stays behind."""

from tests.netns.namespace import Namespace, Wire, lan_and_wan, needs_namespaces, wire

__all__ = ["Namespace", "Wire", "lan_and_wan", "needs_namespaces", "wire"]

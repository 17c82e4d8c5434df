"""PURE. The data plan: billing period, counter deltas, ledger, policy."""

"""Benchmarks: one script a subject, `python -m tests.bench.<room>_<what>`; each prints rows (see rows.py)."""

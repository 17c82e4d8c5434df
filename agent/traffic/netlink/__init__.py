"""What is said to the kernel: codec, requests, nf_tables, and the one thread that says it."""

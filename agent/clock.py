"""Wall clock, boot clock, and how far the wall clock can be trusted."""

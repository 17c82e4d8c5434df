"""What each maker adds: one file a maker."""

"""The commands themselves, one file a subject."""

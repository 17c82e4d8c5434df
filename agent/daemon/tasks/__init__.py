"""The supervised tasks, one file each."""

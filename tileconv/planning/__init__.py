"""Everything decided, nothing run: stages, passes, tiles, memory, and the reasons."""

"""What the tests believe instead of tileconv: slow and obvious, and forbidden to import it (tests/test_layers.py)."""

"""Where results go: tiles to a store or a file."""

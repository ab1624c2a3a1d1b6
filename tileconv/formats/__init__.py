"""A finished store as a file of another kind, in one streaming pass."""

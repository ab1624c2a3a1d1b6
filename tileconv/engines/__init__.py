"""Weights times block gives block: borders, engines, their cost and choice."""

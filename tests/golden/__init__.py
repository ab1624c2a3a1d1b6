"""Pipelines whose results must stay the same from one commit to the next, byte by byte."""

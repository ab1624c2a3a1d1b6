"""Mutations: tileconv broken in one place at a time, and the tests that must notice."""

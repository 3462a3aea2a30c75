"""Functional and structural connectivity, of neurons and of regions."""

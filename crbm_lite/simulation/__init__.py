"""Simulated recordings of which the assemblies are known."""

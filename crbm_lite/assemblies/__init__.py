"""Assemblies of a trained model: members, matching, dynamics, phases, export."""

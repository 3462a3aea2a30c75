"""Viewers and explorers that need no kernel."""

"""Checks of what comes in: arguments and arrays. Imports nothing of ours."""

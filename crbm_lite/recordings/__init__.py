"""Recordings: spikes with coordinates and regions, their files, splits, ground truth, controls."""

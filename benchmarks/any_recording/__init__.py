"""Nothing set by hand, on any recording: `python -m benchmarks.any_recording`."""

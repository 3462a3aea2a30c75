"""What a neuroscientist would use instead: `python -m benchmarks.detectors`."""

"""Numbers that the README names: `python -m benchmarks` or `python -m benchmarks.<name>`."""

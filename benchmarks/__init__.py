"""The numbers of the page Numbers: `python -m benchmarks` or `python -m benchmarks.<name>`."""

"""The numbers of book/reference/numbers.md: `python -m benchmarks` or `python -m benchmarks.<name>`."""

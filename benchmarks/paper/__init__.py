"""What the retrace found, beside the paper: its numbers, its figures, and the design guide.

Here nothing is measured; `benchmarks.retrace` and `benchmarks.design_guide` do that. `results`
reads what they stored, `numbers` holds it against `numbers.yml`, `figures` and `guide` show it.
"""

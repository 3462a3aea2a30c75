"""The whole paper on fish of its size, step by step. `__main__` says how it is run.

`subject` holds a fish and its models. Each of `data`, `training`, `generation`, `prediction`,
`components`, `assemblies`, `dynamics`, `connectivity` and `ablations` measures what some of the
paper's figures show of one fish, and `animals` what they show of several. `compact` makes results
small enough for a JSON table, and `run` measures and keeps them. `benchmarks.paper` shows them.
"""

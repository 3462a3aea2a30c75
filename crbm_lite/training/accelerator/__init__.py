"""The same training as one compiled update for accelerators (JAX)."""

"""The numerics of the model: potentials, spikes, random numbers, samplers, partition function."""

"""The model: the estimator `CRBM`, its file, and the cache of trained models."""

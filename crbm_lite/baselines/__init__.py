"""Rivals of the cRBM, on the same split and under the same scores; import the module you need."""

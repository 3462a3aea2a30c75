"""The command line `crbm-lite`."""

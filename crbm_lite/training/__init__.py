"""The trainer: start, update, monitors, run, certificate, checkpoints."""

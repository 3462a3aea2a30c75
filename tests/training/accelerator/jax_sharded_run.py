"""A few updates on all devices that JAX shows; writes what came out. Run by test_trainer.py."""

import sys

import numpy as np

from tests.training.accelerator.test_trainer import few_updates, what_devices_send

if __name__ == "__main__":
    n_devices, values, sharding, trainer = few_updates()
    sent = what_devices_send(trainer)
    np.savez(sys.argv[1], n_devices=n_devices, sharding=str(sharding), sent=sent, **values)

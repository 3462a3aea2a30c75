"""A few updates on all devices that JAX shows; writes what came out. Run by test_jax_backend.py."""

import sys

import numpy as np
from test_jax_backend import few_updates, what_devices_send

if __name__ == "__main__":
    n_devices, values, sharding, trainer = few_updates()
    sent = what_devices_send(trainer)
    np.savez(sys.argv[1], n_devices=n_devices, sharding=str(sharding), sent=sent, **values)

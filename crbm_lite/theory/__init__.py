"""Small systems that can be enumerated: maximum entropy and random machines."""

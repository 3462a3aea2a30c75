"""Files written whole, locks, the cache folder, and HDF5 files read with care."""

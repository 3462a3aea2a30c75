"""Data sets by name: manifest, download, atlas."""

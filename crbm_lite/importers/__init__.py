"""Importers: one module for each file format, each returning a `crbm_lite.recordings.Recording`.

- `crbm_lite.importers.published`: the published whole-brain zebrafish recordings;
- `crbm_lite.importers.retinal_waves`: spike times of multi-electrode retina recordings.

Importers know files and arrays, nothing else; they import only `crbm_lite.recordings` and what it
stands on. Errors are `crbm_lite.recordings.RecordingError` and name the file and the key.
"""

from __future__ import annotations

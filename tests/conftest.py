"""Settings for every test: where the real recordings are looked for first."""

import os
from pathlib import Path

# A folder shared/data beside the checkout serves where CRBM_LITE_DATA is not set, so that the
# tests on real recordings run instead of being skipped.
_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
if _BESIDE.is_dir():
    os.environ.setdefault("CRBM_LITE_DATA", str(_BESIDE))

"""What several tests of the command line begin with."""

import pytest

from crbm_lite import plant_recording, save_recording


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to be in, with one small planted recording."""
    monkeypatch.chdir(tmp_path)
    save_recording("larva.h5", plant_recording(60, 3, (15, 25), 1000, 5, random_state=0))
    return tmp_path

"""The rivals find what is easy, and their members follow the stated threshold."""

import numpy as np
import pytest

import crbm_lite as cl
from benchmarks.rivals import RIVALS, members_of


def test_members_are_above_the_threshold_of_their_column():
    scores = np.array([[5.0, 0.0], [4.0, 0.0], [0.5, 0.0], [0.4, 0.0], [-9.0, 0.0]])
    assert members_of(scores).T.tolist() == [[True, True, False, False, False], [False] * 5]


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_find_disjoint_assemblies(name):
    recording = cl.plant_recording(120, 3, (30, 30), 3000, 30, overlap=0.0, random_state=0)
    found = RIVALS[name](recording, 3)
    truth = recording.truth
    assert found.members.shape == found.scores.shape == (120, 3)
    assert found.activity.shape == truth.states.shape
    match = cl.match_assemblies(truth.membership, found.members.astype(float))
    assert match.correlation.min() > 0.8
    activity = found.activity[:, match.second]
    states = truth.states[:, match.first].astype(float)
    assert np.diag(np.corrcoef(activity.T, states.T)[:3, 3:]).min() > 0.7

"""Mel bands to patches."""

from __future__ import annotations

import numpy as np
import pytest

from soundtags.audio.patches import (
    FRONT_ENDS,
    FrontEnd,
    cut_patches,
    patch_starts,
)

MUSICNN = FRONT_ENDS["TensorflowPredictMusiCNN"]


def numbered(frames: int) -> np.ndarray:
    """Return bands in which every frame holds its own number."""
    return np.repeat(np.arange(frames, dtype=np.float32)[:, None], 96, axis=1)


def cut(bands: np.ndarray, kind: FrontEnd, limit: int | None) -> np.ndarray:
    return cut_patches(bands, kind, patch_starts(len(bands), kind, limit))


def starts(patches: np.ndarray) -> list[int]:
    for patch in patches:
        assert np.array_equal(np.diff(patch[:, 0]), np.ones(186))
    return patches[:, 0, 0].astype(int).tolist()


def test_all_are_half_overlapping_without_an_incomplete_last_one():
    patches = cut(numbered(187 + 3 * 93 + 92), MUSICNN, None)
    assert patches.shape == (4, 187, 96)
    assert starts(patches) == [0, 93, 186, 279]


def test_a_limit_distributes_them_over_the_whole_track():
    five = cut(numbered(10187), MUSICNN, 5)
    assert starts(five) == [0, 2500, 5000, 7500, 10000]
    assert starts(cut(numbered(10187), MUSICNN, 1)) == [0]


def test_a_limit_above_their_number_changes_nothing():
    bands = numbered(1000)
    limited = cut(bands, MUSICNN, 32)
    assert np.array_equal(limited, cut(bands, MUSICNN, None))


@pytest.mark.parametrize("frames", [1, 2, 100, 186])
def test_short_clips_are_repeated_up_to_one_patch(frames: int):
    patches = cut(numbered(frames), MUSICNN, 32)
    assert patches.shape == (1, 187, 96)
    assert patches[0, :, 0].tolist() == [i % frames for i in range(187)]


def test_effnet_does_not_count_the_last_frame():
    # Essentia counts one frame less than it makes; a patch that needs it is
    # dropped there.
    kind = FRONT_ENDS["TensorflowPredictEffnetDiscogs"]
    assert len(cut(numbered(128 + 62 + 1), kind, None)) == 2
    assert len(cut(numbered(128 + 62), kind, None)) == 1
    assert len(cut(numbered(128), kind, None)) == 1  # there, none at all


@pytest.mark.parametrize(
    ("name", "shape", "begins"),
    [
        ("TensorflowPredictVGGish", (4, 96, 96), [0, 93, 186, 279]),
        (
            "TensorflowPredictEffnetDiscogs",
            (5, 128, 96),
            [0, 62, 124, 186, 248],
        ),
    ],
)
def test_other_front_ends_have_other_patches(name, shape, begins):
    patches = cut(numbered(377), FRONT_ENDS[name], None)
    assert patches.shape == shape
    assert patches[:, 0, 0].tolist() == begins

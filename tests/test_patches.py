"""Mel bands to patches."""

from __future__ import annotations

import numpy as np
import pytest

from beetsplug.soundtags.patches import cut_patches


def numbered(frames: int) -> np.ndarray:
    """Return bands in which every frame holds its own number."""
    return np.repeat(np.arange(frames, dtype=np.float32)[:, None], 96, axis=1)


def starts(patches: np.ndarray) -> list[int]:
    for patch in patches:
        assert np.array_equal(np.diff(patch[:, 0]), np.ones(186))
    return patches[:, 0, 0].astype(int).tolist()


def test_all_are_half_overlapping_without_an_incomplete_last_one():
    patches = cut_patches(numbered(187 + 3 * 93 + 92), None)
    assert patches.shape == (4, 187, 96)
    assert starts(patches) == [0, 93, 186, 279]


def test_a_limit_spreads_them_over_the_whole_track():
    assert starts(cut_patches(numbered(10187), 5)) == [
        0,
        2500,
        5000,
        7500,
        10000,
    ]
    assert starts(cut_patches(numbered(10187), 1)) == [0]


def test_a_limit_that_all_keep_to_changes_nothing():
    bands = numbered(1000)
    assert np.array_equal(cut_patches(bands, 32), cut_patches(bands, None))


@pytest.mark.parametrize("frames", [1, 2, 100, 186])
def test_short_clips_are_repeated_up_to_one_patch(frames: int):
    patches = cut_patches(numbered(frames), 32)
    assert patches.shape == (1, 187, 96)
    assert patches[0, :, 0].tolist() == [i % frames for i in range(187)]

"""What tests of decoding share."""

from __future__ import annotations

import pytest

from soundtags.audio import sndfile


@pytest.fixture
def ffmpeg_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test as if libsndfile were not installed."""
    monkeypatch.setattr(sndfile, "installed", lambda: False)


@pytest.fixture(params=[True, False], ids=["libsndfile", "FFmpeg alone"])
def libsndfile(request: pytest.FixtureRequest) -> bool:
    """Run a test twice: with libsndfile, and as if it were not installed."""
    if not request.param:
        request.getfixturevalue("ffmpeg_alone")
    return request.param

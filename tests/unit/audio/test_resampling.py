"""Decoded blocks to a 16 kHz signal."""

from __future__ import annotations

import numpy as np
import pytest

from soundtags.audio.decoding import Audio
from soundtags.audio.resampling import RESAMPLERS, resample
from soundtags.errors import UnreadableAudio


def tone(hz: float, rate: int, seconds: float = 2.0) -> np.ndarray:
    time = np.arange(int(rate * seconds)) / rate
    return np.sin(2 * np.pi * hz * time).astype(np.float32)


def blocks(samples: np.ndarray, size: int = 10000) -> Audio:
    def pieces():
        for start in range(0, len(samples), size):
            yield samples[start : start + size]

    return pieces()


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_a_tone_stays_the_same_tone(resampler: str, rate: int):
    signal = resample(Audio(rate, blocks(tone(1000, rate))), resampler)
    assert len(signal.samples) == pytest.approx(32000, abs=16)
    middle = slice(4000, 28000)
    assert signal.samples[middle] == pytest.approx(
        tone(1000, 16000)[middle], abs=5e-3
    )


def test_audio_at_16_khz_is_unchanged():
    samples = tone(7900, 16000)
    signal = resample(Audio(16000, blocks(samples)))
    assert np.array_equal(signal.samples, samples)
    assert signal.edge is None


@pytest.mark.parametrize(
    ("rate", "resampler", "edge"),
    [
        (44100, "soxr", 8000),
        (22050, "soxr", 8000),
        (8000, "soxr", 4000),
        (44100, "resampy", None),
    ],
)
def test_the_edge_of_the_band_is_known_for_soxr(
    rate: int, resampler: str, edge: float | None
):
    signal = resample(Audio(rate, blocks(tone(500, rate))), resampler)
    assert signal.edge == edge


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_too_few_samples_are_an_error(resampler: str):
    with pytest.raises(UnreadableAudio, match="too short"):
        resample(Audio(384000, blocks(np.ones(1, np.float32))), resampler)

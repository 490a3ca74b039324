"""Decoded blocks to a 16 kHz signal."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from support.audio import assert_close
from support.needs import RESAMPLERS

from soundtags.audio import sinc
from soundtags.audio.decoding import Audio, decode
from soundtags.audio.resampling import RATE, read_segment, resample
from soundtags.errors import UnreadableAudio

RATES = [8000, 11025, 22050, 32000, 44056, 44100, 47999, 48000, 96000, 192000]


def tone(hz: float, rate: int, seconds: float = 2.0) -> np.ndarray:
    times = np.arange(int(rate * seconds)) / rate
    return np.sin(2 * np.pi * hz * times).astype(np.float32)


def blocks(samples: np.ndarray, size: int = 10000):
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def gain(hz: float, source: int, target: int) -> float:
    """Return what becomes of a tone, in decibels."""
    resampled = sinc.resample(tone(hz, source), source, target)
    inside = len(resampled) // 4
    return 20 * np.log10(np.std(resampled[inside:-inside]) * np.sqrt(2))


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize("rate", RATES)
def test_a_tone_stays_the_same_tone(resampler: str, rate: int):
    samples = resample(Audio(rate, blocks(tone(1000, rate))), resampler)
    assert len(samples) == pytest.approx(32000, abs=16)
    middle = slice(4000, 28000)
    assert_close(samples[middle], tone(1000, RATE)[middle], 5e-3)


def test_audio_at_16_khz_is_unchanged():
    samples = tone(7900, RATE)
    assert np.array_equal(resample(Audio(RATE, blocks(samples))), samples)


@pytest.mark.parametrize("source", [22050, 44100, 48000, 96000])
@pytest.mark.parametrize(
    ("hz", "decibels"),
    # As measured of libsamplerate's medium quality.
    [(100, 0), (6400, 0), (7040, -0.46), (7360, -6.29), (7680, -27.28)],
)
def test_the_band_ends_as_the_reference_has_it(source, hz, decibels):
    assert gain(hz, source, RATE) == pytest.approx(decibels, abs=0.02)


@pytest.mark.parametrize("source", [22050, 44100, 48000, 96000])
def test_what_is_above_the_band_is_gone(source):
    for hz in (8200, 10_000, source / 2 - 100):
        assert gain(hz, source, RATE) < -110


def test_the_band_of_a_lower_rate_ends_where_it_ended():
    assert gain(3680, 8000, RATE) == pytest.approx(-6.29, abs=0.02)
    assert gain(3680, 8000, 48000) == pytest.approx(-6.29, abs=0.02)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [1, 999, 100_000])
def test_the_result_is_the_same_however_the_input_is_cut(rate, size):
    samples = np.random.default_rng(0).uniform(-1, 1, rate // 4)
    samples = samples.astype(np.float32)
    whole = sinc.resample(samples, rate, RATE)
    source = Audio(rate, blocks(samples, size))
    cuts = [0, 1, 777, 778, 2500, len(whole), len(whole) + 100]
    parts = [
        read_segment(source, start, stop, "sinc")
        for start, stop in pairwise(cuts)
    ]
    assert_close(np.concatenate(parts), whole, 2e-6)


def test_little_audio_at_an_odd_rate_takes_little_time():
    def took(rate: int, seconds: float) -> float:
        samples = tone(1000, rate, seconds)
        start = time.process_time()
        sinc.resample(samples, rate, RATE)
        return time.process_time() - start

    took(44100, 1)  # what is computed once
    assert took(191_999, 0.01) < took(191_993, 1) / 5


def test_samples_of_the_reference(shared):
    # Of a WAV file, which everybody decodes to the same samples.
    reference = np.load(shared / "reference" / "speech_female_8khz.npz")
    path = shared / "audio" / "music" / "speech_female_8khz.wav"
    expected = reference["samples_head"]
    samples = resample(decode(str(path)))[: len(expected)]
    assert_close(samples, expected, 1e-6)


@pytest.mark.parametrize("resampler", RESAMPLERS)
def test_too_few_samples_are_an_error(resampler: str):
    with pytest.raises(UnreadableAudio, match="too short"):
        resample(Audio(384000, blocks(np.ones(1, np.float32))), resampler)

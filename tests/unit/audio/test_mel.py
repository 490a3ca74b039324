"""The front end, by its definition and against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from soundtags.audio.mel import MUSICNN, VGGISH, mel_bands

RATE, FRAME, HOP, BANDS = 16000, 512, 256, 96


def musicnn_frame(samples: np.ndarray, index: int) -> np.ndarray:
    """Compute one frame in double precision, term by term."""
    padded = np.concatenate([np.zeros(256), samples, np.zeros(1024)])
    n = np.arange(FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / (FRAME - 1))
    frame = padded[index * HOP : index * HOP + FRAME] * window
    k = np.arange(FRAME // 2 + 1)
    power = np.abs(np.exp(-2j * np.pi * np.outer(k, n) / FRAME) @ frame) ** 2

    def mel(hz: float) -> float:
        if hz < 1000:
            return 3 * hz / 200
        return 15 + 27 * np.log(hz / 1000) / np.log(6.4)

    def hz(mel: float) -> float:
        return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    corners = [hz(mel(8000) * i / (BANDS + 1)) for i in range(BANDS + 2)]
    bands = []
    for low, centre, high in zip(corners, corners[1:], corners[2:]):
        weights = [
            max(
                0, min((f - low) / (centre - low), (high - f) / (high - centre))
            )
            for f in k * RATE / FRAME
        ]
        bands.append(np.dot(weights, power) * 2 / (high - low))
    return np.log10(1 + 10000 * np.array(bands))


def vggish_frame(samples: np.ndarray, index: int) -> np.ndarray:
    padded = np.concatenate([np.zeros(200), samples, np.zeros(1024)])
    n = np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 399)
    frame = padded[index * 160 : index * 160 + 400] * window
    k = np.arange(257)
    magnitude = np.abs(np.exp(-2j * np.pi * np.outer(k, n) / 512) @ frame)

    def mel(hz: float) -> float:
        return 1127.01048 * np.log(1 + hz / 700)

    corners = np.linspace(mel(125), mel(7500), 66)
    bands = []
    for low, centre, high in zip(corners, corners[1:], corners[2:]):
        weights = [
            max(
                0, min((m - low) / (centre - low), (high - m) / (high - centre))
            )
            for m in map(mel, k * RATE / 512)
        ]
        bands.append(np.dot(weights, magnitude))
    return np.log(np.array(bands) + 0.01)


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    rng = np.random.default_rng(1)
    return (0.2 * rng.standard_normal(RATE)).astype(np.float32)


@pytest.mark.parametrize("index", [0, 1, 30, 62])
@pytest.mark.parametrize(
    ("name", "definition", "tolerance"),
    [(MUSICNN, musicnn_frame, 5e-4), (VGGISH, vggish_frame, 1e-3)],
)
def test_frames_follow_the_definition(
    signal: np.ndarray, index: int, name, definition, tolerance: float
):
    bands = mel_bands(signal, name)
    expected = definition(signal, index)
    assert bands[index] == pytest.approx(expected, abs=tolerance)


def test_one_frame_every_256_samples_to_behind_the_end(signal: np.ndarray):
    assert mel_bands(signal, MUSICNN).shape == (64, BANDS)
    assert mel_bands(signal[:1], MUSICNN).shape == (2, BANDS)
    assert mel_bands(signal[:257], MUSICNN).shape == (3, BANDS)


def test_the_first_frame_is_centred_on_the_first_sample():
    click = np.zeros(2048, np.float32)
    click[0] = 1
    bands = mel_bands(click, MUSICNN)
    assert bands[0].min() > 1  # the window is at its top there
    assert bands[1].max() < 1e-3  # and all but closed one hop on


def test_vggish_has_a_frame_every_160_samples(signal: np.ndarray):
    assert mel_bands(signal, VGGISH).shape == (101, 64)
    assert mel_bands(signal[:161], VGGISH).shape == (3, 64)


@pytest.mark.parametrize(
    ("name", "key", "tolerance"),
    [
        (MUSICNN, "musicnn_mel_head", 1e-4),
        (VGGISH, "vggish_mel_head", 2e-4),
    ],
)
def test_agrees_with_the_reference(shared, name, key, tolerance):
    for file in sorted((shared / "reference").glob("*.npz")):
        reference = np.load(file)
        bands = mel_bands(reference["samples_head"], name)
        expected = reference[key]
        assert bands.shape == expected.shape
        assert np.abs(bands - expected).max() <= tolerance, file.name

"""Headers that lie: neither time nor memory goes by what they say."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.audio import noise

from soundtags.audio.decoding import decode
from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.patches import FRONT_ENDS, patch_starts
from soundtags.audio.track import open_seekable
from soundtags.errors import UnreadableAudio

if TYPE_CHECKING:
    from pathlib import Path

FRONT_END = "TensorflowPredictMusiCNN"
SECONDS = 4
PCM_8, PCM_16 = 2, 3  # in the headers of AU files
UNKNOWN = 0xFFFFFFFF


def au(rate: int, channels: int, content: bytes, encoding: int = PCM_16):
    header = (b".snd", 24, UNKNOWN, encoding, rate, channels)
    return struct.pack(">4s5I", *header) + content


def wav(rate: int, channels: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros((1000, channels)), rate, format="WAV")
    return stream.getvalue()


def flac(rate: int) -> bytes:
    """Return FLAC with this sample rate in its header."""
    content = bytearray(flac_of(noise(SECONDS)))
    place = slice(18, 26)  # 20 bits of rate, of a number of 64 bits
    rest = int.from_bytes(content[place], "big") % 2**44
    content[place] = (rate * 2**44 + rest).to_bytes(8, "big")
    return bytes(content)


def flac_of(samples: np.ndarray) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, 44100, format="FLAC")
    return stream.getvalue()


def read(path: Path, patches: int | None):
    return list(features(str(path), FeatureSpec([FRONT_END], patches, "sinc")))


@pytest.mark.parametrize("patches", [5, None])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (au(1, 1, bytes(10**6), PCM_8), "sample rate: 1 Hz"),
        (au(1000, 2, bytes(10**6)), "sample rate: 1000 Hz"),
        (wav(1, 1), "sample rate: 1 Hz"),
        (wav(50_000_000, 1), "sample rate: 50000000 Hz"),
        (wav(2**31 - 1, 2), "sample rate: 2147483647 Hz"),
        (wav(2_822_399, 1), "sample rate: 2822399 Hz"),
        (wav(200_003, 2), "sample rate: 200003 Hz"),
        (flac(1), "sample rate: 1 Hz"),
        (au(44100, 1024, bytes(8192)), "number of channels: 1024"),
        (wav(44100, 255), "number of channels: 255"),
    ],
)
def test_absurd_headers_are_refused(tmp_path, content, reason, patches):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnreadableAudio, match=f"^implausible {reason}; "):
        read(tmp_path / "a", patches)


@pytest.mark.parametrize("patches", [5, None])
@pytest.mark.parametrize(
    "content",
    [
        au(1, 1, bytes(10**6), PCM_8),
        wav(1, 1),
        wav(50_000_000, 1),
        au(44100, 1024, bytes(8192)),
        wav(44100, 255),
    ],
)
def test_absurd_headers_are_refused_without_libsndfile(
    tmp_path, content, patches, ffmpeg_alone
):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UnreadableAudio):
        read(tmp_path / "a", patches)


@pytest.mark.usefixtures("libsndfile")
@pytest.mark.parametrize("rate", [4000, 8000, 192_192, 384_000, 1_411_200])
def test_rates_of_music_are_not(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", noise(1, rate), rate)
    for patches in (5, None):
        assert read(tmp_path / "a.wav", patches)[-1].seconds == 1


@pytest.mark.usefixtures("libsndfile")
@pytest.mark.parametrize("claimed", [10**9, 2**36 - 1])
def test_a_length_that_cannot_be_is_not_believed(tmp_path, claimed):
    content = bytearray(flac_of(noise(SECONDS)))
    number = int.from_bytes(content[18:26], "big")
    length = number % 2**36
    content[18:26] = (number - length + claimed).to_bytes(8, "big")
    (tmp_path / "a.flac").write_bytes(content)
    for patches in (5, None):
        tracemalloc.start()
        chunks = read(tmp_path / "a.flac", patches)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert chunks[-1].seconds == pytest.approx(SECONDS, abs=0.1)
        assert peak < 100 * 2**20


@pytest.mark.usefixtures("libsndfile")
def test_silence_packs_well_and_is_still_sought_in(tmp_path):
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 44100, 1) as file:
        for _ in range(60):
            file.write(np.zeros(44100 * 10, np.float32))
    with open_seekable(str(tmp_path / "a.flac"), "sinc") as track:
        assert track is not None
        assert track.seconds == 600


@pytest.mark.usefixtures("libsndfile")
def test_memory_does_not_grow_with_the_number_of_channels(tmp_path):
    peaks = []
    for channels in (8, 64):
        rng = np.random.default_rng(0)
        samples = rng.uniform(-0.1, 0.1, (300_000, channels))
        soundfile.write(tmp_path / "a.wav", samples, 44100)
        tracemalloc.start()
        count = sum(map(len, decode(str(tmp_path / "a.wav")).blocks))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == len(samples)
    assert peaks[1] < 2 * peaks[0]


def test_patches_of_an_endless_track_take_no_memory():
    tracemalloc.start()
    starts = patch_starts(10**12, FRONT_ENDS[FRONT_END], 16)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(starts) == 16
    assert starts[-1] == 10**12 - 187
    assert peak < 2**20

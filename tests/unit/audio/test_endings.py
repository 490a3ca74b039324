"""Files that say wrongly where their samples end."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import mutagen
import mutagen.id3
import numpy as np
import pytest
import soundfile
from support.audio import noise

from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.resampling import RATE
from soundtags.audio.track import open_seekable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("libsndfile")

SPEC = FeatureSpec(["TensorflowPredictMusiCNN"], 5, "sinc")


def cut_short(path: Path, kept: int) -> None:
    """Let the header of a WAV file say that it has less data."""
    content = bytearray(path.read_bytes())
    start = content.index(b"data") + 8
    content[4:8] = (start - 8 + kept).to_bytes(4, "little")
    content[start - 4 : start] = kept.to_bytes(4, "little")
    path.write_bytes(content)


def tagged(*tags: bytes) -> bytes:
    """Return WAV with something after its samples."""
    stream = io.BytesIO()
    soundfile.write(stream, noise(), 44100, format="WAV")
    return b"".join([stream.getvalue(), *tags])


def chunk(name: bytes, size: int) -> bytes:
    return name + size.to_bytes(4, "little") + bytes(size)


def id3(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes([0, 0, size >> 7, size % 128]) + bytes(size)


def ape(size: int) -> bytes:
    numbers = (2000).to_bytes(4, "little") + size.to_bytes(4, "little")
    return b"APETAGEX" + numbers + bytes(16) + bytes(size)


def test_samples_after_the_end_that_a_header_gives_are_mentioned(
    tmp_path, libsndfile
):
    if not libsndfile:
        pytest.skip("FFmpeg does not tell")
    path = tmp_path / "a.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.uniform(-0.1, 0.1, 44100 * 6), 44100)
    cut_short(path, 44100 * 6)
    (chunk,) = features(str(path), SPEC)
    assert chunk.seconds == pytest.approx(3)
    assert "header says 3.0 s, but 264600 more bytes follow" in chunk.warning


def test_samples_that_look_like_letters_are_no_chunk(tmp_path, libsndfile):
    if not libsndfile:
        pytest.skip("FFmpeg does not tell")
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).uniform(-0.7, -0.1, RATE * 6)
    for kept in range(RATE * 3, RATE * 3 + 20):
        soundfile.write(path, samples, RATE, "PCM_U8")
        cut_short(path, kept)
        (chunk,) = features(str(path), SPEC)
        assert f"{RATE * 6 - kept} more bytes follow" in chunk.warning


@pytest.mark.parametrize(
    "name",
    [b"FORM\0\0\xff\xf8AIFF", b"fLaC", chunk(b"LIST", 10**4), id3(10**4)],
)
def test_other_audio_after_the_samples_is_no_chunk(tmp_path, name, libsndfile):
    if not libsndfile:
        pytest.skip("FFmpeg does not tell")
    (tmp_path / "a.wav").write_bytes(tagged(name, b"\xf8\xff" * 2**15))
    (found,) = features(str(tmp_path / "a.wav"), SPEC)
    assert f"{len(name) + 2**16} more bytes follow" in found.warning


@pytest.mark.parametrize(
    "tags",
    [
        (chunk(b"LIST", 10**4), chunk(b"id3 ", 9999), chunk(b"JUNK", 10**6)),
        (chunk(b"LIST", 9999), b"\0", chunk(b"bext", 10**4), bytes(999)),
        (chunk(b"LIST", 10**4), id3(10**4), b"TAG" + bytes(125)),
        (ape(10**4), id3(10**4), chunk(b"LIST", 10**4)),
    ],
)
def test_tags_after_the_samples_are_no_samples(tmp_path, tags):
    path = tmp_path / "a.wav"
    path.write_bytes(tagged(*tags))
    with open_seekable(str(path), "sinc") as track:
        assert track is not None
    for patches in (5, None):
        spec = FeatureSpec(SPEC.front_ends, patches, "sinc")
        (found,) = features(str(path), spec)
        assert found.warning == ""


def test_chunks_after_the_samples_are_not(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), 44100)
    tags = mutagen.File(path)
    tags.add_tags()
    picture = np.random.default_rng(0).bytes(100_000)
    tags.tags.add(mutagen.id3.APIC(3, "image/jpeg", 3, "", picture))
    tags.save()
    with open_seekable(str(path), "sinc") as track:
        assert track is not None
    for patches in (5, None):
        spec = FeatureSpec(SPEC.front_ends, patches, "sinc")
        (chunk,) = features(str(path), spec)
        assert chunk.warning == ""


def flac_of(path: Path, length: int) -> None:
    """Write FLAC of 10 s, with a number of samples in its header."""
    soundfile.write(path, noise(10), 44100, format="FLAC")
    content = bytearray(path.read_bytes())
    place = slice(18, 26)  # its last 36 bits
    others = int.from_bytes(content[place], "big") >> 36
    content[place] = (others << 36 | length).to_bytes(8, "big")
    path.write_bytes(content)


def ogg_of(
    path: Path, codec: str, times: Callable[[list[int]], list[int]]
) -> None:
    """Write Ogg of 10 s, with other times on its pages of audio."""
    with soundfile.SoundFile(path, "w", 48000, 2, codec, format="OGG") as file:
        for some in np.array_split(noise(10, 48000), 10):
            file.write(some)
    content = path.read_bytes()
    starts = [each.start() for each in re.finditer(b"OggS", content)]
    pages = [
        bytearray(content[start:stop])
        for start, stop in pairwise([*starts, len(content)])
    ]
    audio = [page for page in pages if any(page[6:14])]
    said = [int.from_bytes(page[6:14], "little") for page in audio]
    for page, time in zip(audio, times(said), strict=True):
        page[6:14] = time.to_bytes(8, "little")
        page[22:26] = bytes(4)
        page[22:26] = checksum(page).to_bytes(4, "little")
    path.write_bytes(b"".join(pages))


def checksum(page: bytes) -> int:
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            register = register << 1 ^ (register >> 31) * 0x104C11DB7
    return register


def last_half(times: list[int]) -> list[int]:
    return [*times[:-1], times[-1] // 2]


def all_half(times: list[int]) -> list[int]:
    return [time // 2 for time in times]


def step_back(times: list[int]) -> list[int]:
    middle = len(times) // 2
    return times[:middle] + [time - 100_000 for time in times[middle:]]


def assert_heard(path: Path) -> None:
    """Check that 10 s are heard, whether or not all patches are needed."""
    for patches in (5, None):
        spec = FeatureSpec(SPEC.front_ends, patches, "sinc")
        found = list(features(str(path), spec))[-1]
        assert found.seconds == pytest.approx(10, abs=0.2)  # padding
        assert found.warning == ""


@pytest.mark.parametrize("length", [1, 44100 * 5, 44100 * 9])
def test_flac_of_which_the_header_says_too_little(tmp_path, length):
    flac_of(tmp_path / "a.flac", length)
    with open_seekable(str(tmp_path / "a.flac"), "sinc") as track:
        assert track is None
    assert_heard(tmp_path / "a.flac")


@pytest.mark.parametrize("times", [last_half, all_half, step_back])
@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_ogg_of_which_a_page_says_too_little(tmp_path, codec, times):
    ogg_of(tmp_path / "a.ogg", codec, times)
    assert_heard(tmp_path / "a.ogg")


def test_where_it_is_right_it_is_believed(tmp_path):
    flac_of(tmp_path / "flac", 44100 * 10)
    ogg_of(tmp_path / "vorbis", "VORBIS", list)
    ogg_of(tmp_path / "opus", "OPUS", list)
    for name in ("flac", "vorbis", "opus"):
        content = (tmp_path / name).read_bytes()
        for rest in (b"", b"TAG" + bytes(125), ape(10**4)):
            (tmp_path / name).write_bytes(content + rest)
            with open_seekable(str(tmp_path / name), "sinc") as track:
                assert track is not None
                assert track.seconds == 10


def test_an_encoder_may_cut_off_the_last_packets(tmp_path):
    path = tmp_path / "a.ogg"
    ogg_of(path, "VORBIS", lambda times: [*times[:-1], times[-1] - 480])
    with open_seekable(str(path), "sinc") as track:
        assert track is not None
        assert track.seconds == pytest.approx(9.99)

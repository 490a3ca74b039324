"""Files to patches, decoding no more of a file than is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from support.audio import assert_close, encode, noise
from support.needs import RESAMPLERS

from soundtags.audio import track as module
from soundtags.audio.decoding import decode
from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.mel import mel_bands
from soundtags.audio.patches import FRONT_ENDS, cut_patches, patch_starts
from soundtags.audio.resampling import RATE, resample
from soundtags.audio.track import open_seekable, open_whole
from soundtags.errors import Stopped, UnreadableAudio

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("libsndfile")

SECONDS = 30
SEEKABLE = {
    "pcm16.wav": "PCM_16",
    "float.wav": "FLOAT",
    "a.aiff": "PCM_24",
    "a.flac": "PCM_16",
    "vorbis.ogg": "VORBIS",
    "a.opus": "OPUS",
}


def spec_of(patches: int | None, resampler: str = "sinc") -> FeatureSpec:
    return FeatureSpec(list(FRONT_ENDS), patches, resampler)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Half a minute in every seekable format, and in MP3."""
    folder = tmp_path_factory.mktemp("files")
    for name, subtype in {**SEEKABLE, "a.mp3": None}.items():
        rate = 48000 if subtype == "OPUS" else 44100
        kind = "OGG" if subtype == "OPUS" else None
        with soundfile.SoundFile(
            folder / name, "w", rate, 2, subtype, format=kind
        ) as file:
            # libsndfile cannot write much Vorbis at a time.
            for part in np.array_split(noise(SECONDS, rate), SECONDS):
                file.write(part)
    return folder


def whole(path: Path, asked: FeatureSpec) -> dict[str, np.ndarray]:
    """Return the patches of a file, cut from all of it."""
    signal = resample(decode(str(path)), asked.resampler)
    patches = {}
    for name in asked.front_ends:
        kind = FRONT_ENDS[name]
        bands = mel_bands(signal, kind.mel)
        starts = patch_starts(len(bands), kind, asked.patches)
        patches[name] = cut_patches(bands, kind, starts)
    return patches


def assert_same(chunks, expected, tolerance):
    assert [chunk.last for chunk in chunks[:-1]] == [False] * (len(chunks) - 1)
    assert chunks[-1].last
    for name, patches in expected.items():
        parts = [p.patches[name] for p in chunks if name in p.patches]
        times = [p.times[name] for p in chunks if name in p.times]
        found = np.concatenate(parts)
        assert found.shape == patches.shape
        assert len(np.concatenate(times)) == len(found)
        assert np.abs(found - patches).max() < tolerance, name


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize("name", SEEKABLE)
def test_segments_are_those_of_the_whole_file(files, name, resampler):
    with open_seekable(str(files / name), resampler) as track:
        assert track is not None
        samples = resample(decode(str(files / name)), resampler)
        assert track.length == len(samples)
        # Opus settles within 80 ms, but not to the last bit.
        close = 1e-3 if name == "a.opus" else 2e-6
        for start in (0, 12345, 200_001, 401_999):
            found = track.segment(start, start + 50_000)
            wanted = samples[start : start + 50_000]
            assert_close(found, wanted, close)
        end = track.segment(track.length - 999, track.length)
        assert_close(end, samples[-999:], close)


def test_segments_of_real_vorbis_are_exact(shared):
    # Seeks of libsndfile land 10 to 20 ms off in these, one time in ten.
    for name in ("ambient.ogg", "jazz.ogg"):
        path = shared / "audio" / "music" / name
        samples = resample(decode(str(path)))
        with open_seekable(str(path), "sinc") as track:
            for start in np.linspace(0, track.length - 16000, 50).astype(int):
                found = track.segment(int(start), int(start) + 16000)
                wanted = samples[start : start + 16000]
                assert np.abs(found - wanted).max() < 2e-6


@pytest.mark.parametrize("name", ["pcm16.wav", "a.flac", "vorbis.ogg"])
def test_a_few_patches_do_not_take_the_whole_file(files, name, monkeypatch):
    monkeypatch.delattr("soundtags.audio.features.open_whole")
    asked = spec_of(5)
    (chunk,) = features(str(files / name), asked)
    assert chunk.seconds == pytest.approx(SECONDS)
    # The logarithm magnifies rounding in bands that are almost empty.
    assert_same([chunk], whole(files / name, asked), 1e-3)


@pytest.mark.parametrize("patches", [1, 5, 64, 65, None])
@pytest.mark.parametrize("name", ["a.mp3", "a.flac"])
def test_patches_are_those_of_the_whole_file(files, name, patches):
    asked = spec_of(patches)
    chunks = list(features(str(files / name), asked))
    assert_same(chunks, whole(files / name, asked), 1e-3)


def test_many_patches_come_in_chunks(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(20, 16000), 16000)
    monkeypatch.setattr("soundtags.audio.features.CHUNK_SIZE", 3)
    asked = spec_of(None)
    chunks = list(features(str(tmp_path / "a.wav"), asked))
    counts = [[len(p) for p in each.patches.values()] for each in chunks]
    assert max(map(max, counts)) == 3
    assert len(chunks) == 7
    begins = [min(map(min, chunk.times.values())) for chunk in chunks]
    assert begins == sorted(begins)
    assert_same(chunks, whole(tmp_path / "a.wav", asked), 1e-6)


@pytest.mark.parametrize("seconds", [0.001, 0.5, 2.9])
def test_short_clips_are_decoded_whole(tmp_path, seconds):
    soundfile.write(tmp_path / "a.flac", noise(seconds), 44100)
    (chunk,) = features(str(tmp_path / "a.flac"), spec_of(16))
    expected = whole(tmp_path / "a.flac", spec_of(16))
    assert_same([chunk], expected, 1e-3)


def test_a_truncated_file_gives_the_patches_it_has(files, tmp_path):
    content = (files / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    asked = spec_of(8)
    (chunk,) = features(str(tmp_path / "a.flac"), asked)
    assert 5 < chunk.seconds < 25
    assert_same([chunk], whole(tmp_path / "a.flac", asked), 1e-6)


def test_files_that_are_not_seekable_are_decoded_whole(files, tmp_path):
    for path in (files / "a.mp3", tmp_path / "a.m4a"):
        if not path.exists():
            encode(path, "aac", "mp4")
        with open_seekable(str(path), "sinc") as track:
            assert track is None
        (chunk,) = features(str(path), spec_of(3))
        assert_same([chunk], whole(path, spec_of(3)), 1e-6)


def test_files_without_audio_are_refused(tmp_path):
    (tmp_path / "a.flac").write_text("no music")
    for name in ("a.flac", "missing.flac", "."):
        with pytest.raises(UnreadableAudio):
            next(features(str(tmp_path / name), spec_of(3)))


@pytest.mark.parametrize("patches", [3, None])
def test_long_files_are_decoded_twice_instead_of_buffered(
    files, monkeypatch, patches
):
    path, asked = files / "a.mp3", spec_of(patches)
    expected = whole(path, asked)
    monkeypatch.setattr(module, "MAX_BUFFERED", 10 * RATE)
    opened = []

    def counted(path):
        opened.append(path)
        return decode(path)

    monkeypatch.setattr(module, "decode", counted)
    chunks = list(features(str(path), asked))
    assert len(opened) == 2
    assert_same(chunks, expected, 1e-3)


def test_a_file_that_shrinks_while_it_is_decoded_is_an_error(
    tmp_path, monkeypatch
):
    soundfile.write(tmp_path / "a.wav", noise(30, 16000), 16000)
    monkeypatch.setattr(module, "MAX_BUFFERED", 10 * RATE)
    track = open_whole(str(tmp_path / "a.wav"), "sinc")
    assert len(track.segment(0, RATE)) == RATE
    os.truncate(tmp_path / "a.wav", 16000 * 2 * 2 * 10)
    with pytest.raises(UnreadableAudio, match="changed while"):
        track.segment(RATE, track.length)


def test_a_checkpoint_can_stop_decoding(files):
    asked = []

    def third_time():
        asked.append(True)
        if len(asked) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        next(features(str(files / "a.mp3"), spec_of(3), third_time))
    assert len(asked) == 3

"""Files to samples, and errors for files that cannot be decoded."""

from __future__ import annotations

import os
import sys

import mutagen
import numpy as np
import pytest
import soundfile
from support.audio import assert_close, encode, noise

from soundtags.audio.decoding import decode, seekable
from soundtags.errors import UnreadableAudio

pytestmark = pytest.mark.usefixtures("libsndfile")

RATE = 44100
NO_MUSIC = np.random.default_rng(0).bytes(5000)


def read(path) -> tuple[int, np.ndarray]:
    audio = decode(os.fspath(path))
    return audio.rate, np.concatenate(list(audio.blocks))


def test_channels_are_averaged_and_nothing_is_clipped(tmp_path):
    samples = np.array([[0.5, 1.5], [-2.0, 3.0], [0.25, 0.25]] * 100)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    rate, mono = read(tmp_path / "a.wav")
    assert rate == RATE
    assert mono[:3].tolist() == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 16])
def test_any_number_of_channels(tmp_path, channels):
    path = tmp_path / "a.wav"
    samples = np.random.default_rng(0).uniform(-1, 1, (50_000, channels))
    soundfile.write(path, samples, RATE, "FLOAT")
    expected = samples.mean(axis=1)
    assert_close(read(path)[1], expected, 1e-6)  # by libsndfile
    with seekable(str(path)) as source:  # by FFmpeg
        assert_close(source.read(0, len(samples)), expected, 1e-6)


def test_antiphase_is_not_silence(tmp_path):
    one = noise()[:, 0]
    soundfile.write(tmp_path / "a.wav", np.stack([one, -one], 1), RATE)
    _, mono = read(tmp_path / "a.wav")
    assert_close(mono, one, 1e-4)


def test_samples_are_always_finite(tmp_path):
    samples = noise(0.5)
    samples[100], samples[200], samples[300] = np.nan, np.inf, 1e30
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    _, mono = read(tmp_path / "a.wav")
    assert np.isfinite(mono).all()
    assert np.abs(mono).max() <= 100


@pytest.mark.parametrize("name", ["concat:a|b.mp3", "http:__x.mp3", "-x.mp3"])
def test_names_are_never_protocols(tmp_path, name, av_only):
    if sys.platform == "win32":
        pytest.skip("Windows does not allow such names")
    path = tmp_path / name
    path.write_bytes(av_only.read_bytes())
    assert len(read(path)[1]) > RATE


@pytest.fixture
def av_only(tmp_path):
    """A file that libsndfile does not read: junk before the music."""
    source = tmp_path / "plain.mp3"
    soundfile.write(source, noise(), RATE)
    path = tmp_path / "junk.mp3"
    path.write_bytes(b"\0" * 100_000 + source.read_bytes())
    with pytest.raises(soundfile.SoundFileError):
        soundfile.read(path)
    return path


def test_files_that_libsndfile_refuses_are_tried_with_ffmpeg(av_only):
    rate, mono = read(av_only)
    assert rate == RATE
    assert len(mono) / RATE == pytest.approx(4, abs=0.2)


def test_tags_that_are_not_utf8(tmp_path):
    path = tmp_path / "a.wv"
    encode(path, "wavpack", "wv")
    file = mutagen.File(path)
    file["Title"] = "UUUU"
    file.save()
    path.write_bytes(path.read_bytes().replace(b"UUUU", b"\xff\xfe\xff\xfe"))
    assert len(read(path)[1]) == 4 * RATE


def test_names_that_are_not_utf8(tmp_path):
    if sys.platform in ("win32", "darwin"):
        pytest.skip("file names are Unicode here")
    path = os.fsencode(tmp_path) + b"/\xff\xfe.wav"
    soundfile.write(path, noise(), RATE, format="WAV")
    assert len(read(path)[1]) == 4 * RATE


def test_audio_before_damage_is_kept(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(20), RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20000] = os.urandom(20000)
    (tmp_path / "a.flac").write_bytes(content)
    _, mono = read(tmp_path / "a.flac")
    assert len(mono) > 5 * RATE


@pytest.mark.parametrize("content", [b"", b"<html>no music</html>", NO_MUSIC])
def test_no_audio_is_one_clear_error(tmp_path, content, capfd):
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudio, match="no audio"):
        decode(str(path))
    assert "PyAV" not in capfd.readouterr().err  # no traceback besides


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UnreadableAudio, match="No such file"):
        decode(str(tmp_path / "a.mp3"))
    with pytest.raises(UnreadableAudio, match="not a regular file"):
        decode(str(tmp_path))


def test_fifos_are_not_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs on this system")
    os.mkfifo(tmp_path / "a.mp3")
    with pytest.raises(UnreadableAudio, match="not a regular file"):
        decode(str(tmp_path / "a.mp3"))


def test_real_files_of_all_formats(shared):
    files = sorted((shared / "audio" / "formats").iterdir())
    files = [path for path in files if path.suffix != ".ape"]  # see below
    assert files
    for path in files:
        rate, mono = read(path)
        assert 0.05 < len(mono) / rate < 60, path.name
        assert 0.01 < np.abs(mono).max() < 4, path.name


def test_audio_before_damage_in_an_ape_file_is_kept(ape):
    rate, mono = read(ape)
    assert rate == 44100
    assert len(mono) == 7 * 4608

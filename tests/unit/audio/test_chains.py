"""Files of several parts: all of them are heard, or a line says what is not."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

import av
import mutagen.apev2
import mutagen.id3
import mutagen.mp4
import numpy as np
import pytest
import soundfile
from support.audio import encode

import soundtags
from soundtags.audio.decoding import decode
from soundtags.audio.features import FeatureSpec, features
from soundtags.audio.resampling import RATE, resample
from soundtags.audio.track import open_seekable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("libsndfile")

SPEC = FeatureSpec(["TensorflowPredictMusiCNN"], 5, "sinc")


class Part(NamedTuple):
    """A tone, as a part of a file."""

    hz: float
    seconds: float
    rate: int
    channels: int

    @property
    def samples(self) -> np.ndarray:
        time = np.arange(int(self.seconds * self.rate)) / self.rate
        tone = 0.3 * np.sin(2 * np.pi * self.hz * time).astype(np.float32)
        return np.repeat(tone[:, None], self.channels, axis=1)


def by_ffmpeg(codec: str, container: str, **options: str):
    def write(path: Path, part: Part) -> None:
        encode(path, codec, container, part.samples, part.rate, **options)

    return write


def by_libsndfile(container: str, subtype: str | None = None):
    def write(path: Path, part: Part) -> None:
        with soundfile.SoundFile(
            path, "w", part.rate, part.channels, subtype, format=container
        ) as file:
            # libsndfile cannot write much Vorbis at a time.
            for some in np.array_split(part.samples, 10):
                file.write(some)

    return write


def flac_in_ogg(path: Path, part: Part) -> None:
    plain = path.with_suffix(".flac")
    encode(plain, "flac", "flac", part.samples, part.rate)
    with av.open(str(plain)) as file, av.open(str(path), "w", "ogg") as out:
        stream = out.add_stream_from_template(file.streams.audio[0])
        for packet in file.demux(file.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


FORMATS: dict[str, Callable[[Path, Part], None]] = {
    "mp3": by_libsndfile("MP3"),
    "mp3 with a count of frames": by_ffmpeg("libmp3lame", "mp3"),
    "adts": by_ffmpeg("aac", "adts"),
    "vorbis": by_libsndfile("OGG", "VORBIS"),
    "opus": by_libsndfile("OGG", "OPUS"),
    "flac": by_libsndfile("FLAC", "PCM_16"),
    "flac in ogg": flac_in_ogg,
    "wav": by_libsndfile("WAV", "PCM_16"),
}
# Of these, each file says itself where it ends.
BOUNDED: dict[str, Callable[[Path, Part], None]] = {
    "aiff": by_libsndfile("AIFF", "PCM_16"),
    "caf": by_libsndfile("CAF", "PCM_16"),
    "au": by_libsndfile("AU", "PCM_16"),
    "m4a": by_ffmpeg("aac", "ipod"),
    "fragmented m4a": by_ffmpeg(
        "aac", "mp4", movflags="frag_keyframe+empty_moov"
    ),
    "alac": by_ffmpeg("alac", "ipod"),
    "wma": by_ffmpeg("wmav2", "asf"),
    "tta": by_ffmpeg("tta", "tta"),
    "mka": by_ffmpeg("pcm_s16le", "matroska"),
}
CHANGES = {
    "nothing": ((44100, 2), (44100, 2)),
    "to stereo": ((44100, 1), (44100, 2)),
    "to mono": ((44100, 2), (44100, 1)),
    "to 48 kHz": ((44100, 2), (48000, 2)),
    "to 22 kHz": ((44100, 2), (22050, 1)),
    "from 8 kHz": ((8000, 1), (44100, 2)),
}
OPUS_RATES = {44100: 48000, 22050: 24000}


def join(path: Path, write: Callable[[Path, Part], None], *parts: Part) -> Path:
    contents = []
    for part in parts:
        write(path, part)
        contents.append(path.read_bytes())
    path.write_bytes(b"".join(contents))
    return path


def loudest(samples: np.ndarray) -> float:
    """Return the frequency, in Hz, with most energy in a signal at 16 kHz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


def assert_heard(path: str) -> None:
    """Check that three parts are heard, of 4 s each: low, high, low."""
    audio = decode(path)
    samples = resample(audio)
    assert audio.warning == ""
    assert len(samples) / RATE == pytest.approx(12, abs=0.6)  # padding
    for middle, hz in ((2, 440), (6, 3000), (10, 440)):
        around = samples[(middle - 1) * RATE : (middle + 1) * RATE]
        assert loudest(around) == pytest.approx(hz, abs=10)
        assert np.std(around) == pytest.approx(0.21, abs=0.02)
    (chunk,) = features(path, SPEC)
    assert chunk.seconds == pytest.approx(len(samples) / RATE, abs=0.01)
    assert chunk.warning == ""


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FORMATS)
def test_all_parts_are_heard(tmp_path, name, change):
    (rate, channels), (later_rate, later_channels) = CHANGES[change]
    if name == "opus":
        rate = OPUS_RATES.get(rate, rate)
        later_rate = OPUS_RATES.get(later_rate, later_rate)
    parts = [
        Part(440, 4, rate, channels),
        Part(3000, 4, later_rate, later_channels),
        Part(440, 4, rate, channels),
    ]
    assert_heard(str(join(tmp_path / "a", FORMATS[name], *parts)))


LOW, HIGH = Part(440, 4, 44100, 2), Part(3000, 4, 22050, 1)


@pytest.mark.parametrize("name", BOUNDED)
def test_all_files_are_heard_that_are_joined(tmp_path, name):
    assert_heard(str(join(tmp_path / "a", BOUNDED[name], LOW, HIGH, LOW)))


@pytest.mark.parametrize(
    "names",
    [
        ("flac", "mp3 with a count of frames", "mp3"),
        ("flac", "vorbis", "wav"),
        ("wav", "flac", "flac in ogg"),
        ("vorbis", "flac", "wav"),
    ],
)
def test_files_of_several_formats_are_heard(tmp_path, names):
    contents = []
    for name, part in zip(names, (LOW, HIGH, LOW), strict=True):
        FORMATS[name](tmp_path / "part", part)
        contents.append((tmp_path / "part").read_bytes())
    (tmp_path / "a").write_bytes(b"".join(contents))
    assert_heard(str(tmp_path / "a"))


def test_files_within_tags_are_no_parts(tmp_path):
    """A picture may be a film as well; FLAC may keep the header of a WAV."""
    path = tmp_path / "a.m4a"
    BOUNDED["m4a"](tmp_path / "film.m4a", HIGH)
    BOUNDED["m4a"](path, LOW)
    tags = mutagen.mp4.MP4(path)
    film = (tmp_path / "film.m4a").read_bytes()
    tags["covr"] = [mutagen.mp4.MP4Cover(b"\xff\xd8\xff\xe0" + film)]
    tags.save()
    flac = tmp_path / "a.flac"
    FORMATS["flac"](flac, LOW)
    FORMATS["wav"](tmp_path / "a.wav", LOW)
    header = b"riff" + (tmp_path / "a.wav").read_bytes()[:12]
    content = flac.read_bytes()
    blocks = b"\1\0\2\0" + bytes(512) + b"\2\0\0\x10" + header
    flac.write_bytes(content[:42] + blocks + content[42:])
    for each in (path, flac):
        (chunk,) = features(str(each), SPEC)
        assert chunk.seconds == pytest.approx(4, abs=0.1)
        assert chunk.warning == ""


def large_m4a(path: Path, part: Part) -> None:
    """Write M4A whose samples could be more than 4 GB."""
    BOUNDED["m4a"](path, part)
    head, rest = path.read_bytes().split(b"\0\0\0\x08free")
    size = int.from_bytes(rest[:4], "big") + 8
    box = b"\0\0\0\1mdat" + size.to_bytes(8, "big")
    path.write_bytes(head + box + rest[8:])


def test_large_boxes_are_passed_over(tmp_path):
    path = join(tmp_path / "a", large_m4a, LOW, HIGH, LOW)
    path.write_bytes(path.read_bytes() + bytes(5000))  # of no size
    assert_heard(str(path))


@pytest.mark.parametrize("name", ["mpc_sv8.mpc", "dsf_1s.dsf"])
def test_joined_files_of_formats_we_cannot_make(tmp_path, shared, name):
    content = (shared / "audio" / "formats" / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    (one,) = features(str(tmp_path / name), SPEC)
    (tmp_path / name).write_bytes(content + content)
    (both,) = features(str(tmp_path / name), SPEC)
    assert both.seconds == pytest.approx(2 * one.seconds, abs=0.1)
    assert both.warning == ""


@pytest.mark.parametrize("name", ["mp3", "vorbis", "flac"])
def test_parts_after_a_low_rate_keep_their_treble(tmp_path, name):
    parts = Part(440, 3, 8000, 1), Part(6000, 3, 44100, 2)
    path = join(tmp_path / "a", FORMATS[name], *parts)
    samples = resample(decode(str(path)))
    assert loudest(samples[4 * RATE : 5 * RATE]) == pytest.approx(6000, abs=10)


@pytest.mark.parametrize("name", ["vorbis", "flac", "wav"])
def test_patches_of_the_last_part_are_of_the_last_part(tmp_path, name):
    one, other = Part(440, 8, 44100, 1), Part(3000, 8, 44100, 1)
    path = join(tmp_path / "a", FORMATS[name], one, other)
    with open_seekable(str(path), "sinc") as track:
        assert track is None
    FORMATS[name](tmp_path / "b", other)
    alone, joined = (
        next(features(str(tmp_path / each), SPEC)).patches[SPEC.front_ends[0]]
        for each in ("b", "a")
    )
    assert joined[-1].mean(axis=0).argmax() == alone[-1].mean(axis=0).argmax()
    assert joined[-1].mean(axis=0).argmax() != joined[0].mean(axis=0).argmax()


def test_streams_side_by_side_are_no_chain(tmp_path):
    path = str(tmp_path / "a.ogg")
    layout = {"rate": 48000, "layout": "mono"}
    silence = np.zeros((1, 960), np.float32)
    with av.open(path, "w") as out:
        streams = [out.add_stream("libopus", **layout) for _ in range(2)]
        for number in range(250):
            for stream in streams:
                frame = av.AudioFrame.from_ndarray(silence, "flt", "mono")
                frame.sample_rate, frame.pts = 48000, number * 960
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    audio = decode(path)
    samples = sum(map(len, audio.blocks))
    assert samples / audio.rate == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("name", ["mp3", "mp3 with a count of frames"])
def test_tags_between_parts_and_at_the_end_are_no_audio(
    tmp_path, name, libsndfile
):
    def write(path: Path, part: Part) -> None:
        FORMATS[name](path, part)
        picture = np.random.default_rng(0).bytes(300_000)
        tags = mutagen.id3.ID3()
        tags.add(mutagen.id3.APIC(3, "image/jpeg", 3, "", picture))
        tags.save(path, v1=2)
        ape = mutagen.apev2.APEv2()
        ape["Cover Art (Front)"] = mutagen.apev2.APEValue(
            picture, mutagen.apev2.BINARY
        )
        ape.save(path)

    one, other = Part(440, 4, 44100, 2), Part(3000, 4, 48000, 1)
    FORMATS[name](tmp_path / "plain", one)
    alone = join(tmp_path / "alone", write, one)
    plain = np.concatenate(list(decode(str(tmp_path / "plain")).blocks))
    tagged = np.concatenate(list(decode(str(alone)).blocks))
    if not libsndfile:  # FFmpeg then leaves the padding of the encoder
        assert len(tagged) - len(plain) < 1152
        tagged = tagged[: len(plain)]
    assert np.array_equal(plain, tagged)
    both = resample(decode(str(join(tmp_path / "both", write, one, other))))
    assert len(both) / RATE == pytest.approx(8, abs=0.3)
    assert loudest(both[5 * RATE : 7 * RATE]) == pytest.approx(3000, 1)


def test_a_part_that_cannot_be_decoded_is_named(tmp_path):
    path, one = tmp_path / "a.ogg", Part(440, 4, 44100, 2)
    write = FORMATS["vorbis"]
    content = join(path, write, one).read_bytes()
    # The last page of headers tells how to decode; without it, nothing is.
    start = content.index(b"\x05vorbis")
    broken = content[:start] + bytes(3000) + content[start + 3000 :]
    path.write_bytes(content + broken + content)
    audio = decode(str(path))
    seconds = sum(map(len, audio.blocks)) / audio.rate
    assert seconds == pytest.approx(8, abs=0.1)
    assert audio.warning.startswith("decoded in part: part 2 of 3: ")


def test_where_ffmpeg_stops_it_is_said(tmp_path, caplog):
    parts = Part(440, 4, 44100, 1), Part(3000, 4, 44100, 2)
    path = join(tmp_path / "a.wv", by_ffmpeg("wavpack", "wv"), *parts)
    (chunk,) = features(str(path), SPEC)
    assert chunk.seconds == pytest.approx(4, abs=0.1)
    assert chunk.warning.startswith("decoded in part: FFmpeg stops after 4.0 s")
    with caplog.at_level(logging.WARNING, "soundtags"):
        soundtags.load(path)
    assert caplog.messages == [f"{path}: {chunk.warning}"]


def test_damage_does_not_hide_what_follows(tmp_path):
    path = join(tmp_path / "a.flac", FORMATS["flac"], Part(440, 20, 44100, 2))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 5000] = os.urandom(5000)
    path.write_bytes(content)
    audio = decode(str(path))
    assert sum(map(len, audio.blocks)) / audio.rate > 18


@pytest.mark.parametrize(
    ("name", "seconds"), [("chained.ogg", 18), ("mono_then_stereo.mp3", 13)]
)
def test_files_of_real_life(shared, name, seconds):
    path = shared / "audio" / "cases" / name
    if not path.exists():
        pytest.skip(f"no {name} at hand")
    for patches in (5, None):
        spec = FeatureSpec(SPEC.front_ends, patches, "sinc")
        chunk = list(features(str(path), spec))[-1]
        assert chunk.seconds == pytest.approx(seconds, abs=0.1)
        assert chunk.warning == ""


def test_beet_says_which_file_was_not_heard_to_its_end(beet, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    parts = Part(440, 4, 44100, 1), Part(3000, 4, 44100, 2)
    join(folder / "a.wv", by_ffmpeg("wavpack", "wv"), *parts)
    imported = beet("import", "-A", "-s", folder)
    again = beet("soundtags", "-f")  # once more
    for done in (imported, again):
        (line,) = (
            line for line in done.stderr.splitlines() if "decoded" in line
        )
        assert ".wv: decoded in part: FFmpeg stops after 4.0 s" in line
    assert "1 tagged" in again.stdout

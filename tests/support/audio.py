"""Audio for tests, in every format that can be tagged."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import av
import mediafile
import numpy as np
import soundfile

if TYPE_CHECKING:
    from pathlib import Path


def noise(seconds: float = 4.0, rate: int = 44100, seed: int = 0) -> np.ndarray:
    """Return stereo noise with a beat, shape (samples, 2), float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    beat = np.exp(-8 * (time % 0.5))
    tone = np.sin(2 * np.pi * 220 * time)
    mono = 0.3 * tone + 0.3 * beat * rng.standard_normal(len(time))
    return np.stack([mono, 0.8 * mono], axis=1).clip(-1, 1).astype(np.float32)


def assert_close(
    found: np.ndarray, wanted: np.ndarray, tolerance: float
) -> None:
    """Compare samples, of which there may be many."""
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)


def write_track(path: Path, title: str = "Title", seed: int = 0) -> Path:
    soundfile.write(path, noise(seed=seed), 44100)
    file = mediafile.MediaFile(path)
    file.update({"title": title, "artist": "Artist", "album": "Album"})
    file.save()
    return path


def encode(
    path: Path,
    codec: str,
    container: str,
    samples: np.ndarray | None = None,
    rate: int = 44100,
    **options: str,
) -> None:
    """Encode samples, or the test noise, with FFmpeg's encoders.

    The encoders are those in PyAV. Samples have the shape (samples,
    channels), with one or two channels; options are those of the container.
    """
    samples = noise(rate=rate) if samples is None else samples
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64_000 * samples.shape[1]
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), "fltp", layout
        )
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            stream.format, layout, rate, stream.frame_size or None
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


def copy_into(folder: Path, *files: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
    return folder


# How each format is made.
MADE = {
    "mp3": lambda path: soundfile.write(path, noise(), 44100),
    "flac": lambda path: soundfile.write(path, noise(), 44100),
    "ogg": lambda path: soundfile.write(path, noise(), 44100),
    "opus": lambda path: soundfile.write(
        path, noise(rate=48000), 48000, format="OGG", subtype="OPUS"
    ),
    "aiff": lambda path: soundfile.write(path, noise(), 44100),
    "wav": lambda path: soundfile.write(path, noise(), 44100),
    "m4a": lambda path: encode(path, "aac", "ipod"),
    "alac.m4a": lambda path: encode(path, "alac", "ipod"),
    "wma": lambda path: encode(path, "wmav2", "asf"),
    "wv": lambda path: encode(path, "wavpack", "wv"),
}
ID3 = ("mp3", "aiff", "wav")
VORBIS = ("flac", "ogg", "opus")
APEV2 = ("wv", "ape")
FREEFORM = "----:com.apple.iTunes:"

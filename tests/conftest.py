"""What the tests share: beet as a user runs it, and audio they make."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import yaml

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
SEPARATOR = "\\\u2400"  # between the values of a list in the database

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(ROOT / "demo"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real music, models and reference outputs, where they are at hand."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared here: real music and models are not at hand")
    return SHARED


@pytest.fixture(scope="session")
def ape(shared: Path) -> Path:
    """The one APE file at hand, as nothing we have encodes them.

    Its checksums are wrong from 0.7 s on, which not every FFmpeg survives.
    """
    if int(av.__version__.split(".")[0]) < 18:
        pytest.skip("the APE file at hand is damaged; PyAV 18 can salvage it")
    return shared / "audio" / "formats" / "ape.ape"


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three pieces of the demonstration."""
    import synthesise

    folder = tmp_path_factory.mktemp("pieces")
    synthesise.write(folder)
    return folder


def noise(seconds: float = 4.0, rate: int = 44100, seed: int = 0) -> np.ndarray:
    """Return stereo noise with a beat, shape (samples, 2), float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    beat = np.exp(-8 * (time % 0.5))
    tone = np.sin(2 * np.pi * 220 * time)
    mono = 0.3 * tone + 0.3 * beat * rng.standard_normal(len(time))
    return np.stack([mono, 0.8 * mono], axis=1).clip(-1, 1).astype(np.float32)


@pytest.fixture
def track(tmp_path: Path) -> Path:
    """A short FLAC file with a title and an artist."""
    folder = tmp_path / "in"
    folder.mkdir()
    return write_track(folder / "track.flac")


def write_track(path: Path, title: str = "Title", seed: int = 0) -> Path:
    import mediafile

    soundfile.write(path, noise(seed=seed), 44100)
    file = mediafile.MediaFile(path)
    file.update({"title": title, "artist": "Artist", "album": "Album"})
    file.save()
    return path


def encode(path: Path, codec: str, container: str) -> None:
    """Encode the test noise with FFmpeg's encoders, as PyAV carries them."""
    samples = np.ascontiguousarray(noise().T)
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=44100, layout="stereo")
        stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
        frame.sample_rate = 44100
        resampler = av.AudioResampler(
            stream.format, "stereo", 44100, stream.frame_size or None
        )
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))


@pytest.fixture
def interruptible():
    """Have Ctrl-C work, also where this was started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@dataclass
class Beet:
    """beet with a library of its own, as a process of its own."""

    folder: Path

    def configure(self, **changes: Any) -> None:
        """Write the configuration; `changes` replace whole sections."""
        config = {
            "directory": str(self.folder / "music"),
            "library": str(self.folder / "library.db"),
            "plugins": ["soundtags"],
            "soundtags": {"patches": 2, "jobs": 1},
            "import": {"quiet": True, "copy": True, "write": True},
            "ui": {"color": False},
            **changes,
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def environment(self) -> dict[str, str]:
        environment = {**os.environ, "BEETSDIR": str(self.folder)}
        # Users have not set it, so neither do these processes.
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        return environment

    def __call__(
        self, *args: str | Path, status: int = 0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "beets", *map(str, args)],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            **options,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def items(self, query: str = "") -> list[dict[str, Any]]:
        """Return items as they stand in the database, beets left out."""
        ids = {int(line) for line in self.ls("$id", query)}
        database = sqlite3.connect(self.folder / "library.db")
        database.row_factory = sqlite3.Row
        with contextlib.closing(database):
            rows = database.execute("SELECT * FROM items ORDER BY title")
            items = [dict(row) for row in rows if row["id"] in ids]
            for item in items:
                item.update(
                    database.execute(
                        "SELECT key, value FROM item_attributes"
                        " WHERE entity_id = ?",
                        (item["id"],),
                    ).fetchall()
                )
                # Files below the library's folder have relative paths.
                relative = os.fsdecode(item["path"])
                item["path"] = str(self.folder / "music" / relative)
        return [{key: _plain(key, item[key]) for key in item} for item in items]

    def ls(self, template: str, *query: str) -> list[str]:
        return self("ls", "-f", template, *query).stdout.splitlines()


def _plain(key: str, value: Any) -> Any:
    if key in ("mood", "soundtags", "genres"):
        return value.split(SEPARATOR) if value else []
    is_score = isinstance(value, str) and re.fullmatch(r"[01]\.\d+", value)
    return float(value) if is_score else value


@pytest.fixture
def beet(tmp_path: Path) -> Beet:
    """Return beet with our plugin, on an empty library."""
    folder = tmp_path / "beets"
    (folder / "music").mkdir(parents=True)
    made = Beet(folder)
    made.configure()
    return made


def copy_into(folder: Path, *files: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)
    return folder

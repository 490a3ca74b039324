"""beets with a library and an album to import, for trials; and checks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import soundfile
import yaml
from beets.library import Library
from kills import OTHERS, state
from mediafile import Image, MediaFile

Faults = Iterator[str]

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = ROOT / "tests" / "support" / "plugins" / "beetsplug"
KINDS = ("flac", "mp3", "ogg")
RATE = 44100
SECONDS = 4
SEPARATOR = "\\\u2400"  # between the values of a list in the database
WRITTEN = ("mood", "danceability", "voice_instrumental")  # to files
MARK = "0.9876"  # far from what models predict for noise


class Home:
    """beets with a library, and an album to import."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.music = folder / "music"
        self.music.mkdir()
        self.source = folder / "in"
        self.known = {}
        for number, kind in enumerate(KINDS):
            path = self.source / f"{number}.{kind}"
            write(path, f"Track {number}", number)
            self.known[f"Track {number}"] = state(path)
        self.configure()

    def configure(
        self, plugins: tuple[str, ...] = (), first: bool = False, **more: Any
    ) -> None:
        """Write the configuration, with plugins after ours, or first."""
        ours = ("soundtags",)
        chosen = {
            "directory": str(self.music),
            "library": str(self.folder / "library.db"),
            "plugins": [*plugins, *ours] if first else [*ours, *plugins],
            "pluginpath": [str(PLUGINS)],
            # NumPy starts soonest; what is written is the same with any engine.
            "soundtags": {"patches": 1, "jobs": 1, "engine": "numpy"},
            "paths": {"default": "$album/$title", "singleton": "$title"},
            "ui": {"color": False},
            **more,
        }
        chosen["import"] = {
            "quiet": True,
            "quiet_fallback": "asis",
            "autotag": False,
            **more.get("import", {}),
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(chosen))

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "beets", *args],
            env={**os.environ, "BEETSDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def beet(self, *args: str) -> str:
        """Run beet and return what it prints."""
        process = self.start(*args)
        output, errors = process.communicate()
        if process.returncode or "Traceback" in errors:
            raise RuntimeError(f"beet {args[0]}: {errors}")
        return output

    def items(self) -> list[dict[str, Any]]:
        """Return the fields of all items, as they are stored."""
        library = Library(str(self.folder / "library.db"), str(self.music))
        items = []
        for item in library.items():
            values = {key: item[key] for key in item.keys(computed=False)}
            items.append({**values, "path": item.filepath})
        return items

    def mark(self) -> None:
        """Give tracks a value that another analysis would replace."""
        self.beet("modify", "-yW", f"mood_happy={MARK}")


def write(
    path: Path, title: str, seed: int, album: str = "Album", hertz: float = 240
) -> None:
    path.parent.mkdir(exist_ok=True)
    times = np.arange(SECONDS * RATE) / RATE
    hiss = np.random.default_rng(seed).standard_normal(len(times))
    tone = np.sin(2 * np.pi * hertz * times)
    soundfile.write(path, 0.3 * tone + 0.05 * hiss, RATE)
    file = MediaFile(path)
    values = (title, "Someone", album, 2001, 1 + seed, "by hand")
    file.update(dict(zip(OTHERS, values)))
    file.images = [Image(b"\xff\xd8\xff\xe0 no picture", desc="front")]
    file.save()


def read_tag(path: Path, name: str) -> list[str]:
    """Return the values of a tag, as another program reads it."""
    tags = mutagen.File(path).tags
    if path.suffix == ".mp3":
        frames = tags.getall(f"TXXX:{name.upper()}")
        return [str(text) for frame in frames for text in frame.text]
    return list(tags.get(name, ()))


def values_of(text: str) -> list[str]:
    """Return stored values as files have them."""
    with suppress(ValueError):
        return [f"{float(text):.4f}"]
    return [value for value in text.split(SEPARATOR) if value]


def agree(
    home: Home,
    count: int = len(KINDS),
    written: bool = True,
    absent: tuple[str, ...] = (),
    changed: bool = False,
    newer: bool = False,
) -> Faults:
    """Compare the library with the tags of the files.

    Files may be newer than the library knows. If so, `beet update` takes over
    that they lack what is absent, and `beet soundtags` gives it back.
    """
    items = home.items()
    if len(items) != count:
        yield f"{len(items)} items, not {count}"
    for item in items:
        where = item["path"]
        for name in WRITTEN:
            values = values_of(item.get(name, ""))
            expected = values if written and name not in absent else []
            found = read_tag(where, name)
            if found != expected:
                yield f"{where.name}: {name} {values}, file {found}"
        if "danceability" not in item or "soundtags_plan" not in item:
            yield f"{where.name} has not been analysed"
        genres = MediaFile(where).genres or []
        if written and "genres" not in absent and genres != item["genres"]:
            yield f"{where.name}: genres {item['genres']}, file {genres}"
        if not changed and state(where) != home.known[item["title"]]:
            yield f"{where.name} is not what it was: {state(where)[1]}"
        if not changed and len(MediaFile(where).images) != 1:
            yield f"{where.name}: {len(MediaFile(where).images)} images"
    before = home.items()
    output = home.beet("update")
    updated = home.items()
    if not newer and (output or updated != before):
        yield f"update changed something: {output}"
    cleared = differing(before, updated)
    if not cleared <= set(absent):
        yield f"update changed {cleared}: {output}"
    done = home.beet("soundtags", "-W")
    if not (cleared or done.startswith(f"0 tagged, {count} already")):
        yield f"soundtags: {done}"
    if lost := differing(before, home.items()):
        yield f"{lost} not given back: {done}"


def differing(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> set[str]:
    """Return which fields differ between tracks, of those in files."""
    return {
        name
        for name in ("genres", *WRITTEN)
        if [i.get(name) for i in before] != [i.get(name) for i in after]
    }


def marked(home: Home, count: int) -> Faults:
    """Check how many tracks have kept the marked value."""
    found = [i["mood_happy"] for i in home.items()].count(MARK)
    if found != count:
        yield f"{found} tracks have kept their values, not {count}"


def analysed(home: Home) -> int:
    """Return how many tracks are analysed, while beet is running."""
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(home.folder / "library.db")) as database,
    ):
        (count,) = database.execute(
            "SELECT count(*) FROM item_attributes WHERE key = 'soundtags_plan'"
        ).fetchone()
        return int(count)
    return 0


def wait_for_writing(home: Home, process: subprocess.Popen[str]) -> None:
    """Wait until the copy of a file that gets the tags is there."""
    while not any(home.music.rglob(".soundtags-*")):
        if process.poll() is not None:
            raise RuntimeError(f"no tags were written: {process.communicate()}")
        time.sleep(0.001)

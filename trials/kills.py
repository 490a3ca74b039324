"""Kill beet at random moments, again and again, and check the files.

    python trials/kills.py MUSIC [--times 300] [--full 20] [--seed 0]

By turns, copies of the tracks in MUSIC are imported into an empty library, and
those in another library are analysed by the command. Each time, beet is killed
(SIGKILL) at a random moment. After that, every file must still decode to the
same audio, with the same tags of other programs, and the library must be sound.
(Files that beets was just copying are incomplete; they are counted.) Every
twentieth time (--full), import and command may run to the end; then all tracks
must have been analysed, and files and library must agree. The exit status is 1
if any of this was not so. Needs POSIX.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import mediafile
from beets.library import Library

from soundtags.audio.decoding import decode

CONFIG = """\
directory: {folder}/music
library: {folder}/library.db
plugins: [soundtags]
import: {{copy: yes, write: yes, autotag: no, quiet: yes, resume: no,
         duplicate_action: skip}}
paths: {{default: $title, singleton: $title, comp: $title}}
soundtags: {{engine: numpy}}
ui: {{color: no}}
"""
State = tuple[str, list[object]]  # digest of the audio, other tags
OTHERS = ("title", "artist", "album", "year", "track", "comments")


class Home:
    """beets with a library of its own, and the music that goes into it."""

    def __init__(self, folder: Path, tracks: list[Path]) -> None:
        self.folder = folder
        self.faults: list[str] = []
        self.versions: dict[tuple[str, int, int], State | None] = {}
        self.source = folder / "source"
        self.source.mkdir(parents=True)
        self.known = dict(filter(None, (self._add(t) for t in tracks)))
        self.renew()

    def _add(self, track: Path) -> tuple[str, State] | None:
        target = Path(shutil.copy(track, self.source))
        title = track.name.replace(".", "-")
        try:
            file = mediafile.MediaFile(target)
        except mediafile.UnreadableFileError:
            target.unlink()
            return None
        file.update(
            dict(zip(OTHERS, (title, "Someone", "Album", 1999, 1, "me")))
        )
        file.save()
        return title, state(target)

    def renew(self) -> None:
        """Start again with an empty library."""
        shutil.rmtree(self.folder / "music", ignore_errors=True)
        (self.folder / "music").mkdir()
        (self.folder / "library.db").unlink(missing_ok=True)
        text = CONFIG.format(folder=self.folder)
        (self.folder / "config.yaml").write_text(text)

    def run(self, *args: str, limit: float | None = None) -> bool:
        """Run beet; kill it at the limit. Return whether it ended before."""
        process = subprocess.Popen(
            [sys.executable, "-m", "beets", *args],
            env={**os.environ, "BEETSDIR": str(self.folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return False
        if process.returncode:
            self.faults.append(f"beet {args[0]}: status {process.returncode}")
        return True

    def check(self) -> None:
        """Compare every music file with what it was."""
        for path in [*self.source.iterdir(), *self._music()]:
            found = path.stat()
            version = (str(path), found.st_mtime_ns, found.st_size)
            if version not in self.versions:
                partial = self._is_begun(path)
                self.versions[version] = None if partial else state(path)
            now = self.versions[version]
            if now and now != self.known.get(str(now[1][0])):
                self.faults.append(f"{path.name} is not what it was")
        with closing(sqlite3.connect(self.folder / "library.db")) as database:
            (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            self.faults.append(f"library: {sound}")

    def _is_begun(self, path: Path) -> bool:
        """Return whether a file is an incomplete copy of another."""
        content = path.read_bytes()
        return path.parent != self.source and any(
            len(content) < source.stat().st_size
            and source.read_bytes().startswith(content)
            for source in self.source.iterdir()
        )

    def _music(self) -> list[Path]:
        found = (self.folder / "music").rglob("*")
        return [p for p in found if p.is_file() and p.name[0] != "."]

    def complete(self) -> None:
        """Let beet end, and check that library and files agree."""
        self.run("import", str(self.source))
        self.run("soundtags")
        self.check()
        library = Library(
            str(self.folder / "library.db"), str(self.folder / "music")
        )
        missing = set(self.known)
        for item in library.items():
            missing.discard(item.title)
            value = item.get("danceability")
            written = mediafile.MediaFile(item.filepath).danceability
            if value is None or f"{float(value):.4f}" != written:
                self.faults.append(f"{item.title}: {value}, file: {written}")
        if missing:
            self.faults.append(f"not in the library: {sorted(missing)}")
        for path in (self.folder / "music").rglob(".soundtags-*"):
            self.faults.append(f"left over: {path.name}")


def state(path: Path) -> State:
    """Return a digest of a file's audio, and the values of other tags."""
    digest = hashlib.sha256()
    for block in decode(str(path)).blocks:
        digest.update(block.tobytes())
    file = mediafile.MediaFile(path)
    return digest.hexdigest(), [getattr(file, name) for name in OTHERS]


def add_field() -> None:
    """Have mediafile read one of our tags."""
    mediafile.MediaFile.add_field(
        "danceability",
        mediafile.MediaField(
            mediafile.MP3DescStorageStyle("DANCEABILITY"),
            mediafile.MP4StorageStyle("----:com.apple.iTunes:DANCEABILITY"),
            mediafile.StorageStyle("DANCEABILITY"),
            mediafile.ASFStorageStyle("DANCEABILITY"),
        ),
    )


def kill(homes: list[Home], times: int, full: int, seed: int) -> int:
    """Kill imports and analyses by turns; return how many ran to the end."""
    chance = random.Random(seed)
    started = time.monotonic()
    for home in homes:
        home.run("import", str(home.source))
    took = (time.monotonic() - started) / len(homes)
    ended = 0
    for number in range(times):
        home = homes[number % 2]
        command = ("soundtags", "-f")
        if number % 2:
            home.renew()
            command = ("import", str(home.source))
        moment = chance.uniform(0.3, 1.1 * took)
        ended += home.run(*command, limit=moment)
        home.check()
        if number % full >= full - 2:
            home.complete()
            print(f"{number + 1} of {times}", file=sys.stderr)
    return ended


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--times", type=int, default=300)
    parser.add_argument("--full", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    add_field()
    tracks = sorted(p for p in options.music.iterdir() if p.is_file())
    with tempfile.TemporaryDirectory() as temporary:
        homes = [Home(Path(temporary) / name, tracks) for name in "ab"]
        ended = kill(homes, options.times, options.full, options.seed)
    faults = [fault for home in homes for fault in home.faults]
    seen = [state for home in homes for state in home.versions.values()]
    print(
        f"{options.times} runs, {options.times - ended} of them killed;"
        f" {len(homes[0].known)} files, {len(seen)} versions of them seen,"
        f" {seen.count(None)} of these just being copied by beets"
    )
    for fault in faults:
        print(f"WRONG: {fault}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()

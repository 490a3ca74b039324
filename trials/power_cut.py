"""Cut the power of a disk while tags are written, and check what is left.

    python trials/power_cut.py [PATTERN] [--times 8]

The disk is an ext4 file system in a file. Its power is cut by the file system's
own means for such tests: from one moment on, nothing reaches the disk any more,
and what the system had not written yet is lost. Music, library or both are on
the disk; what is elsewhere survives. beet is killed at several moments while it
writes (--times). Then the disk is checked (fsck -p) and mounted again. All
audio and all tags of others must be there, the library must be sound and must
not claim what is not in the files; and one more run must complete what is left.
A file that was never synchronised must be lost; otherwise, the power was not
cut.

Needs Linux, root, a loop device and mkfs.ext4; without these, nothing is tried.
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import sqlite3
import struct
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from import_home import (
    KINDS,
    Faults,
    Home,
    agree,
    analysed,
    read_tag,
    values_of,
    wait_for_writing,
)
from kills import state
from situations import Skipped, go_through, parser

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

SIZE = 64 << 20  # bytes of the disk
PATIENCE = 20  # seconds
SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_FLUSH = struct.pack("I", 2)  # not even the journal's buffer is flushed
PLACES = ("music", "library", "music and library")
CLAIMED = "danceability"


class Disk:
    """An ext4 file system in a file, mounted beside it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "image"
        self.root = folder / "disk"
        self.root.mkdir()
        self.file.touch()
        os.truncate(self.file, SIZE)
        call("mkfs.ext4", "-q", "-F", self.file)
        self.mount()

    def mount(self) -> None:
        call("mount", "-o", "loop", self.file, self.root)

    def unmount(self) -> None:
        """Unmount it as soon as the processes that beet started have ended."""
        gc.collect()  # closes libraries, which stay open until then
        for _ in range(PATIENCE * 10):
            with suppress(RuntimeError):
                call("umount", self.root)
                return
            time.sleep(0.1)
        call("umount", "--lazy", self.root)
        raise RuntimeError("the disk remains in use")

    def cut(self) -> Faults:
        """Lose all that is not on the disk, and mount the rest."""
        unsynced = self.root / "unsynced"
        unsynced.write_bytes(b"x" * 10**6)
        handle = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, NO_FLUSH)
        finally:
            os.close(handle)
        self.unmount()
        call("fsck.ext4", "-p", self.file, allowed=(0, 1))
        self.mount()
        if unsynced.exists() and unsynced.stat().st_size:
            yield "the power was not cut: nothing is lost"
        unsynced.unlink(missing_ok=True)


def call(*words: str | Path, allowed: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise RuntimeError(
            f"{words[0]}: {(done.stderr or done.stdout).strip()}"
        )


@contextmanager
def prepared(folder: Path, place: str) -> Iterator[tuple[Disk, Home]]:
    """Set up a disk, and a library of tracks that were never analysed."""
    try:
        disk = Disk(folder)
    except RuntimeError as exc:  # in a container, even root may not mount
        raise Skipped(str(exc)) from exc
    try:
        fixed = folder / "fixed"
        fixed.mkdir()
        home_folder = (disk.root if "library" in place else fixed) / "home"
        home_folder.mkdir()
        home = Home(home_folder)
        home.music = (disk.root if "music" in place else fixed) / "music"
        home.music.mkdir()
        home.configure(soundtags={"patches": 1, "jobs": 1, "auto": False})
        home.beet("import", str(home.source))
        yield disk, home
    finally:
        with suppress(RuntimeError):
            disk.unmount()


class Beginning:
    """A copy of a library and its music, to start over from."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.places = {home.folder: folder / "home", home.music: folder / "m"}
        for place, copy in self.places.items():
            shutil.copytree(place, copy)

    def restore(self) -> None:
        for place, copy in self.places.items():
            for each in place.iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
            shutil.copytree(copy, place, dirs_exist_ok=True)
            call("sync", "-f", place)


def writing_time(home: Home) -> float:
    """Return how many seconds pass until all tracks are stored."""
    process = home.start("soundtags")
    wait_for_writing(home, process)
    started = time.monotonic()
    while analysed(home) < len(KINDS) and process.poll() is None:
        time.sleep(0.001)
    took = time.monotonic() - started
    process.communicate()
    return took


def interrupt(
    folder: Path, place: str, times: int
) -> Generator[str, None, str]:
    """Cut the power at several moments."""
    seen = []
    with prepared(folder, place) as (disk, home):
        beginning = Beginning(home, folder / "beginning")
        seconds = writing_time(home)
        for number in range(times):
            beginning.restore()
            process = home.start("soundtags")
            wait_for_writing(home, process)
            time.sleep(seconds * number / times)
            process.kill()
            process.communicate()
            yield from disk.cut()
            seen.append(count_claims(home))
            yield from check(home)
            home.beet("soundtags")
            yield from agree(home)
            for left in home.music.rglob(".soundtags-*"):
                yield f"left over: {left.name}"
    counts = ", ".join(f"{stored}/{written}" for stored, written in seen)
    return f"tracks in the library / with tags after {times} cuts: {counts}"


def count_claims(home: Home) -> tuple[int, int]:
    """Return how many tracks are analysed, and how many files have tags."""
    items = home.items()
    written = [item for item in items if read_tag(item["path"], CLAIMED)]
    return sum(CLAIMED in item for item in items), len(written)


def check(home: Home) -> Faults:
    """Check files and library as a cut has left them."""
    with closing(sqlite3.connect(home.folder / "library.db")) as database:
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
    if sound != "ok":
        yield f"library: {sound}"
    for item in home.items():
        path = item["path"]
        if state(path) != home.known[item["title"]]:
            yield f"{path.name} is not what it was"
        values = values_of(item.get(CLAIMED, ""))
        if values and values != read_tag(path, CLAIMED):
            yield f"{path.name}: the library claims {CLAIMED} {values}"


def why_not() -> str:
    """Return why nothing can be tried here; empty if it can."""
    if not hasattr(os, "geteuid") or os.geteuid():
        return "needs root"
    if not Path("/dev/loop-control").exists():
        return "needs a loop device"
    if shutil.which("mkfs.ext4") is None:
        return "needs mkfs.ext4"
    return ""


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--times", type=int, default=8)
    options = arguments.parse_args()
    if reason := why_not():
        print(f"skipped: {reason}")
        return
    go_through(
        {
            f"{place} on the disk": partial(
                interrupt, place=place, times=options.times
            )
            for place in PLACES
        },
        options.pattern,
    )


if __name__ == "__main__":
    main()

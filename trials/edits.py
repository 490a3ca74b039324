"""Edit a library at random, as people do, and see that no edit is lost.

    python trials/edits.py [--runs 20] [--steps 30] [--seed 0]

In each run, two albums are imported. Then genres, moods and other fields of
tracks and albums are set by hand, with files written or not; in between, tracks
are analysed with other settings, updated, written, imported again and moved,
and analyses are undone. After each step, what was set by hand must still be
there, with all other tags of the files, and `beet soundtags` must have nothing
left to do. Prints a line for each run; the exit status is 1 if something was
lost. (With or without this plugin, `beet update` replaces what is in the
library alone by what is in files, and gives all tracks of an album the genres
of the first one. Such edits are not expected to last.)
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from import_home import Home, write
from kills import state
from mediafile import MediaFile

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("flac", "mp3", "ogg", "mp3", "flac")
ALBUMS = {"First": range(3), "Second": range(3, 5)}
WORDS = ("Polka", "Waltz", "Zydeco")
TEXTS = {"voice_instrumental": ("voice", "instrumental")}
OF_ALBUMS = ("genres", "mood")
OF_TRACKS = (*OF_ALBUMS, *TEXTS)
OPTIONS: dict[str, tuple[Any, ...]] = {
    "patches": (1, 2),
    "mood_threshold": (0.3, 0.5, 0.7),
    "labels": ({}, {"Rock": "Guitars", "Electronic": "Machines"}),
}
Edit = tuple[str, str]  # title of a track, and field


class LostError(Exception):
    """Something has been lost."""


class Edits:
    """A library, and what was set by hand in it.

    Attributes
    ----------
    values
        What each edit has set, as the library stores it.
    unwritten
        Edits that are not in files.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.rng = rng
        self.home = Home(folder)
        self.values: dict[Edit, Any] = {}
        self.unwritten: set[Edit] = set()
        self.options = {name: each[0] for name, each in OPTIONS.items()}
        self.written = rng.random() < 0.8
        shutil.rmtree(self.home.source)
        self.home.known.clear()
        for album, numbers in ALBUMS.items():
            for number in numbers:
                title = f"{album} {number}"
                path = self.home.source / album / f"{number}.{KINDS[number]}"
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, title, number, album, 110 * 3**number)
                self.home.known[title] = state(path)
        self.configure()
        self.home.beet("import", str(self.home.source))

    def configure(self, name: str = "$title") -> None:
        self.home.configure(
            soundtags={"jobs": 1, "engine": "numpy", **self.options},
            paths={"default": f"$album/{name}"},
            **{"import": {"write": self.written}},
        )

    def edit(self, title: str) -> None:
        field = self.rng.choice(OF_TRACKS)
        self._modify(field, [title], f"title:={title}")

    def edit_album(self, title: str) -> None:
        album = title.split()[0]
        titles = [f"{album} {number}" for number in ALBUMS[album]]
        self._modify(
            self.rng.choice(OF_ALBUMS), titles, "-a", f"album:={album}"
        )

    def _modify(self, field: str, titles: list[str], *which: str) -> None:
        value = self.rng.choice(TEXTS.get(field, WORDS))
        writing = self.rng.random() < 0.5
        how = "-yw" if writing else "-yW"
        done = self.home.beet("modify", how, f"{field}={value}", *which)
        if "No changes" in done:  # then beets writes nothing
            return
        for title in titles:
            stored = [value] if field == "genres" else value
            self.values[title, field] = stored
            self.unwritten.add((title, field))
            if writing:
                self._are_written(title)

    def _are_written(self, title: str) -> None:
        self.unwritten -= {each for each in self.unwritten if each[0] == title}

    def _forget(self, edits: set[Edit]) -> None:
        self.values = {e: v for e, v in self.values.items() if e not in edits}
        self.unwritten -= edits

    def analyse(self, _title: str) -> None:
        self.options = {
            name: self.rng.choice(each) for name, each in OPTIONS.items()
        }
        self.configure()
        self.home.beet("soundtags")
        done = self.home.beet("soundtags")
        if not done.startswith(f"0 tagged, {len(KINDS)} already"):
            raise LostError(f"soundtags: {done}")

    def update(self, title: str) -> None:
        (path,) = (
            item["path"] for item in self.home.items() if item["title"] == title
        )
        later = time.time() + self.rng.randrange(5, 1000)
        os.utime(path, (later, later))
        self.home.beet("update")
        genres = {each for each in self.values if each[1] == "genres"}
        self._forget(self.unwritten | genres)

    def write(self, _title: str) -> None:
        if self.written:
            self.home.beet("write", "-f")
            self.unwritten.clear()

    def import_again(self, title: str) -> None:
        album = title.split()[0]
        if self.rng.random() < 0.5:
            self.home.beet("import", "-L", f"album:={album}")
        else:
            self.home.beet("import", str(self.home.music / album))
            genres = {
                each
                for each in self.unwritten
                if each[1] == "genres" and each[0].startswith(album)
            }
            self._forget(genres)

    def move(self, _title: str) -> None:
        self.configure(self.rng.choice(("$title", "the $title")))
        self.home.beet("move")

    def undo(self, title: str) -> None:
        self.home.beet("soundtags", "--undo", f"title:={title}")

    def check(self) -> None:
        """Raise LostError if something has been lost."""
        items = {item["title"]: item for item in self.home.items()}
        if items.keys() != self.home.known.keys():
            raise LostError(f"tracks are {sorted(items)}")
        for (title, field), value in self.values.items():
            found = items[title].get(field)
            if found != value:
                raise LostError(f"{field} of {title}: {found}, not {value}")
            if field == "genres" and (title, field) not in self.unwritten:
                found = MediaFile(items[title]["path"]).genres
                if found != value:
                    raise LostError(f"{field} in {title}: {found}, not {value}")
        for title, item in items.items():
            if state(item["path"]) != self.home.known[title]:
                raise LostError(f"other tags or audio of {title}")


# Step to how often it comes.
STEPS: dict[Callable[[Edits, str], None], int] = {
    Edits.edit: 4,
    Edits.edit_album: 2,
    Edits.analyse: 4,
    Edits.update: 2,
    Edits.import_again: 2,
    Edits.write: 1,
    Edits.move: 1,
    Edits.undo: 1,
}


def run(seed: int, count: int) -> str | None:
    """Take some steps; return what was lost, and the steps until then."""
    rng = random.Random(seed)
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        edits = Edits(Path(folder), rng)
        for _ in range(count):
            (step,) = rng.choices(list(STEPS), list(STEPS.values()))
            title = rng.choice(list(edits.home.known))
            taken.append(f"{step.__name__} {title}")
            try:
                step(edits, title)
                edits.check()
            except (LostError, RuntimeError) as exc:
                return f"{exc}\n  " + "\n  ".join(taken)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    lost = 0
    for seed in range(given.seed, given.seed + given.runs):
        fault = run(seed, given.steps)
        lost += fault is not None
        print(f"{seed}: {fault or 'nothing was lost'}", flush=True)
    print(f"{given.runs} runs of {given.steps} steps, {lost} with losses")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()

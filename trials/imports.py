"""Import in all the ways there are, with the plugins that people combine.

    python trials/imports.py [WORD ...]

Each way begins with an empty library and an album of three short tracks, in a
folder of their own. After it, library and files must say the same, and nothing
that others say in tags may be lost; `beet update` must find nothing to do, and
neither must `beet soundtags`. Prints a line for each way (of those whose names
have all the WORDs in them); the exit status is 1 if any was not as it should
be. Needs POSIX; and for plugins pylast, pyacoustid and ffmpeg.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import product
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
MARK = "0.1234"  # what no analysis says: it stays unless there is another
WAYS = ("copy", "move", "link", "hardlink", "reflink", "in place")
TAGGING = ("autotag", "as-is", "singletons")
DUPLICATES = ("keep", "skip", "remove", "merge")


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
            "soundtags": {"patches": 1, "jobs": 1},
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
        said, complaints = process.communicate()
        if process.returncode or "Traceback" in complaints:
            raise RuntimeError(f"beet {args[0]}: {complaints}")
        return said

    def items(self) -> list[dict[str, Any]]:
        """Return what the library says, as it is stored."""
        library = Library(str(self.folder / "library.db"), str(self.music))
        items = []
        for item in library.items():
            values = {key: item[key] for key in item.keys(computed=False)}
            items.append({**values, "path": item.filepath})
        library._close()
        return items

    def mark(self) -> None:
        """Have tracks say what another analysis would replace."""
        self.beet("modify", "-yW", f"mood_happy={MARK}")


def write(path: Path, title: str, seed: int, album: str = "Album") -> None:
    path.parent.mkdir(exist_ok=True)
    times = np.arange(SECONDS * RATE) / RATE
    hiss = np.random.default_rng(seed).standard_normal(len(times))
    soundfile.write(path, 0.3 * np.sin(1500 * times) + 0.05 * hiss, RATE)
    file = MediaFile(path)
    values = (title, "Someone", album, 2001, 1 + seed, "by hand")
    file.update(dict(zip(OTHERS, values)))
    file.images = [Image(b"\xff\xd8\xff\xe0 no picture", desc="front")]
    file.save()


def held(path: Path, name: str) -> list[str]:
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
) -> Faults:
    """Compare what the library says with what files hold."""
    items = home.items()
    if len(items) != count:
        yield f"{len(items)} items, not {count}"
    for item in items:
        where = item["path"]
        for name in ("mood", "danceability", "voice_instrumental"):
            said = values_of(item.get(name, ""))
            expected = said if written and name not in absent else []
            if held(where, name) != expected:
                yield f"{where.name}: {name} {said}, file {held(where, name)}"
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
    if said := home.beet("update"):
        yield f"update: {said}"
    if home.items() != before:
        yield "update changed something"
    done = home.beet("soundtags", "-W")
    if not done.startswith(f"0 tagged, {count} already"):
        yield f"soundtags: {done}"


def matrix(way: str, tagging: str, threaded: bool, written: bool) -> Any:
    def scenario(home: Home) -> Faults:
        sources = {p: p.read_bytes() for p in home.source.iterdir()}
        home.configure(
            ("answers",),
            threaded=threaded,
            **{
                "import": {
                    "copy": way == "copy",
                    way: {"move": True, "reflink": "auto"}.get(way, True),
                    "autotag": tagging == "autotag",
                    "singletons": tagging == "singletons",
                    "write": written,
                }
            },
        )
        home.beet("import", str(home.source))
        # Metadata of the answers is what beets is to write.
        yield from agree(home, written=written, changed=tagging == "autotag")
        # Beets writes its own tags to what hard links lead to.
        apart = way in ("copy", "reflink") or (
            way == "hardlink" and tagging != "autotag"
        )
        kept = apart or (way != "move" and not written)
        if kept and any(p.read_bytes() != sources[p] for p in sources):
            yield "sources were changed"
        if way == "move" and any(p.exists() for p in sources):
            yield "sources were left"

    return scenario


def incremental(home: Home) -> Faults:
    home.configure(**{"import": {"incremental": True}})
    home.beet("import", str(home.source))
    home.mark()
    write(home.folder / "in" / "more" / "3.flac", "Track 3", 3, "Another")
    home.known["Track 3"] = state(home.folder / "in" / "more" / "3.flac")
    home.beet("import", str(home.source))
    yield from agree(home, len(KINDS) + 1)
    yield from marked(home, len(KINDS))


def marked(home: Home, count: int) -> Faults:
    """Say so if not just some of the tracks were left as they were."""
    found = [i["mood_happy"] for i in home.items()].count(MARK)
    if found != count:
        yield f"{found} were left as they were, not {count}"


def killed(threaded: bool) -> Any:
    def scenario(home: Home) -> Faults:
        home.configure(threaded=threaded, **{"import": {"resume": True}})
        count = 8
        shutil.rmtree(home.source)
        home.source.mkdir()
        for number in range(count):
            title = f"Track {number}"
            path = home.source / title / f"{number}.flac"
            write(path, title, number, title)
            home.known[title] = state(path)
        process = home.start("import", str(home.source))
        while not analysed(home):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = len(home.items())
        home.beet("import", str(home.source))
        done = home.beet("soundtags")
        if f" {count}" not in f" {sum_of(done)}":
            yield f"after {before}: {done}"
        yield from agree(home, count)

    return scenario


def analysed(home: Home) -> int:
    """Return how many tracks are, while beet is at work."""
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(home.folder / "library.db")) as database,
    ):
        (count,) = database.execute(
            "SELECT count(*) FROM item_attributes WHERE key = 'soundtags_plan'"
        ).fetchone()
        return int(count)
    return 0


def sum_of(summary: str) -> int:
    tagged, already = summary.split(", ")[:2]
    return int(tagged.split()[0]) + int(already.split()[0])


def duplicates(action: str, tagging: str) -> Any:
    def scenario(home: Home) -> Faults:
        autotag = tagging == "autotag"
        home.configure(
            ("answers",),
            **{"import": {"duplicate_action": action, "autotag": autotag}},
        )
        home.beet("import", str(home.source))
        home.mark()
        home.beet("import", str(home.source))
        twice = action in ("keep", "merge")
        yield from agree(home, len(KINDS) * (1 + twice), changed=autotag)
        yield from marked(home, 0 if action == "remove" else len(KINDS))

    return scenario


def reimport(tagging: str) -> Any:
    def scenario(home: Home) -> Faults:
        home.configure(("answers",))
        home.beet("import", str(home.source))
        home.mark()
        autotag = tagging == "autotag"
        home.configure(("answers",), **{"import": {"autotag": autotag}})
        home.beet("import", "-L")
        yield from agree(home, changed=autotag)
        yield from marked(home, len(KINDS))

    return scenario


def afterwards(home: Home) -> Faults:
    """The other commands that write files or fields."""
    home.beet("import", str(home.source))
    before = [i["danceability"] for i in home.items()]
    home.beet("modify", "-y", "artist=Somebody else")
    home.beet("write", "-f")
    home.beet("update")
    (home.folder / "moved").mkdir()
    home.beet("move", "-d", str(home.folder / "moved"))
    if [i["danceability"] for i in home.items()] != before:
        yield "values were lost"
    if {MediaFile(i["path"]).artist for i in home.items()} != {"Somebody else"}:
        yield "what was modified is not in files"
    yield from agree(home, changed=True)


# Plugins: their configuration, and what is not as usual afterwards.
CONVERT = {"auto": True, "format": "opus", "never_convert_lossy_files": False}
POLKA = {"changed": True, "absent": ("genres",)}  # in the library, at least
COMBINED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fetchart": ({"sources": ["filesystem"]}, {}),
    "embedart": ({}, {}),
    "lastgenre": ({"force": True, "keep_existing": False}, POLKA),
    "replaygain": ({"backend": "ffmpeg", "overwrite": True}, {}),
    "chroma": ({"auto": True}, {}),
    "scrub": ({}, {"changed": True}),
    "convert": (CONVERT, {"changed": True}),
    "zero": ({"fields": ["mood", "comments"]}, {"absent": ("mood",)}),
    "types": ({"mood_happy": "float", "rating": "int"}, {}),
    "inline": ({}, {}),
    "smartplaylist": (
        {
            "playlist_dir": "playlists",
            "playlists": [{"name": "all.m3u", "query": "danceability:0..1"}],
        },
        {},
    ),
}


def plugins(names: tuple[str, ...], first: bool, autotag: bool) -> Any:
    def scenario(home: Home) -> Faults:
        cover = home.source / "cover.jpg"
        cover.write_bytes(b"\xff\xd8\xff\xe0" + bytes(2000))
        sections = {name: COMBINED[name][0] for name in names}
        if "inline" in names:
            sections["item_fields"] = {"calm": "'yes' if mood else 'no'"}
        if "smartplaylist" in names:
            playlists = home.folder / "playlists"
            sections["smartplaylist"] = {
                **sections["smartplaylist"],
                "playlist_dir": str(playlists),
            }
        expected: dict[str, Any] = {}
        for name in names:
            for key, value in COMBINED[name][1].items():
                # Fields are told apart, of one plugin and another.
                expected[key] = expected.get(key, type(value)()) + value
        if autotag:
            expected["changed"] = True
        imports = {"import": {"autotag": autotag}}
        others = (*names, "answers", *(("lastfm",) * ("lastgenre" in names)))
        home.configure(others, first, **sections, **imports)
        home.beet("import", str(home.source))
        yield from agree(home, **expected)
        home.mark()
        home.beet("soundtags", "-f")
        yield from agree(home, **expected)
        yield from marked(home, 0)
        if "smartplaylist" in names:
            # In beets 2.14, playlists are not made by themselves.
            home.beet("splupdate")
            lines = (playlists / "all.m3u").read_text().splitlines()
            if len(lines) != len(KINDS):
                yield f"{len(lines)} in the playlist"
        if "lastgenre" in names:
            found = [i["genres"] for i in home.items()]
            found += [MediaFile(i["path"]).genres for i in home.items()]
            if any(genres not in (["Polka"], None) for genres in found):
                yield f"genres are {found}"

    return scenario


def scenarios() -> Iterator[tuple[str, Callable[[Home], Faults]]]:
    for way, tagging, threaded, written in product(
        WAYS, TAGGING, (True, False), (True, False)
    ):
        name = f"{way}, {tagging}, {'' if threaded else 'not '}threaded"
        name += "" if written else ", not written"
        yield name, matrix(way, tagging, threaded, written)
    yield "incremental", incremental
    yield "killed and resumed", killed(True)
    yield "killed and resumed, not threaded", killed(False)
    for action, tagging in product(DUPLICATES, TAGGING[:2]):
        name = f"duplicates, {action}, {tagging}"
        yield name, duplicates(action, tagging)
    for tagging in TAGGING[:2]:
        yield f"reimport, {tagging}", reimport(tagging)
    yield "modify, write, update, move", afterwards
    groups = [(name,) for name in COMBINED] + [tuple(COMBINED)]
    for names, first, autotag in product(groups, (False, True), (False, True)):
        if first:  # then `zero` does not know what a mood is
            names = tuple(name for name in names if name != "zero")
        if not names:
            continue
        label = names[0] if len(names) == 1 else "all"
        label += " before ours" if first else " after ours"
        label += f", {TAGGING[0] if autotag else TAGGING[1]}"
        yield f"plugins, {label}", plugins(names, first, autotag)


def main() -> None:
    words = sys.argv[1:]
    chosen = {
        name: scenario
        for name, scenario in scenarios()
        if all(word in name for word in words)
    }
    wrong = 0
    for name, scenario in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                faults = list(scenario(Home(Path(folder))))
            except (OSError, RuntimeError, KeyError, ValueError) as exc:
                faults = [repr(exc)]
        print(f"{name}: {'; '.join(faults) or 'as it should be'}", flush=True)
        wrong += bool(faults)
    print(f"{len(chosen)} ways, {wrong} of them not as they should be")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

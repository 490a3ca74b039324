"""Import in every way that beets has, and together with other plugins.

    python trials/imports.py [PATTERN]

Each way begins with an empty library and an album of three short tracks, in a
folder of its own. Afterwards, library and files must agree, tags of other
programs must be unchanged, and neither `beet update` nor `beet soundtags` may
have anything left to do. Prints a line for each way (of those whose names match
PATTERN); the exit status is 1 if any was not as it should be.
Needs POSIX, ffmpeg and what the plugins need, which the extra [test] installs.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from import_home import KINDS, Faults, Home, agree, analysed, marked, write
from kills import state
from mediafile import MediaFile

if TYPE_CHECKING:
    from collections.abc import Iterator

Scenario = Callable[[Home], Faults]

WAYS = ("copy", "move", "link", "hardlink", "reflink", "in place")
TAGGING = ("autotag", "as-is", "singletons")
DUPLICATES = ("keep", "skip", "remove", "merge")


def matrix(way: str, tagging: str, threaded: bool, written: bool) -> Scenario:
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
        # With autotag, beets writes the metadata of the answers.
        yield from agree(home, written=written, changed=tagging == "autotag")
        # Through hard links, beets writes its own tags to the sources.
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


def killed(threaded: bool) -> Scenario:
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


def sum_of(summary: str) -> int:
    tagged, already = summary.split(", ")[:2]
    return int(tagged.split()[0]) + int(already.split()[0])


def duplicates(action: str, tagging: str) -> Scenario:
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


def reimport(tagging: str) -> Scenario:
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


def reimport_without_tags(home: Home) -> Faults:
    home.configure(**{"import": {"write": False}})
    home.beet("import", str(home.source))
    before = values(home)
    for again in (str(home.music), "-L"):
        home.beet("import", again)
        if values(home) != before:
            yield f"values were lost after {again}"
        yield from agree(home, written=False)
    home.beet("soundtags", "--undo")
    for item in home.items():
        if item["genres"] or "mood_sad" in item:
            yield f"{item['title']} still has {item['genres']}"


def values(home: Home) -> list[dict[str, Any]]:
    """Return the fields of all items that a reimport must not change."""
    changing = {"id", "album_id", "mtime", "soundtags_undo"}
    return [
        {name: item[name] for name in item.keys() - changing}
        for item in home.items()
    ]


def afterwards(home: Home) -> Faults:
    """Run the other commands that write files or fields."""
    home.beet("import", str(home.source))
    before = [i["danceability"] for i in home.items()]
    home.beet("modify", "-y", "artist=Another")
    home.beet("write", "-f")
    home.beet("update")
    (home.folder / "moved").mkdir()
    home.beet("move", "-d", str(home.folder / "moved"))
    if [i["danceability"] for i in home.items()] != before:
        yield "values were lost"
    if {MediaFile(i["path"]).artist for i in home.items()} != {"Another"}:
        yield "what was modified is not in files"
    yield from agree(home, changed=True)


# Plugin to its configuration, and what is not as usual afterwards.
CONVERT = {"auto": True, "format": "opus", "never_convert_lossy_files": False}
POLKA = {"changed": True, "absent": ("genres",)}  # in the library, at least
PLAYLISTS = {
    "playlists": [{"name": "all.m3u", "query": "danceability:0..1"}],
}
COMBINED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fetchart": ({"sources": ["filesystem"]}, {}),
    "embedart": ({}, {}),
    "lastgenre": ({"force": True, "keep_existing": False}, POLKA),
    "replaygain": ({"backend": "ffmpeg", "overwrite": True}, {}),
    "chroma": ({"auto": True}, {}),
    # Beets 2.14 does not store when it has changed the files.
    "scrub": ({}, {"changed": True, "newer": True}),
    "convert": (CONVERT, {"changed": True}),
    "zero": ({"fields": ["mood", "comments"]}, {"absent": ("mood",)}),
    "types": ({"mood_happy": "float", "rating": "int"}, {}),
    "inline": ({}, {}),
    "smartplaylist": (PLAYLISTS, {}),
}


def plugins(names: tuple[str, ...], first: bool, autotag: bool) -> Scenario:
    def scenario(home: Home) -> Faults:
        cover = home.source / "cover.jpg"
        cover.write_bytes(b"\xff\xd8\xff\xe0" + bytes(2000))
        expected = expectation(names)
        if autotag:
            expected["changed"] = True
        others = (*names, "answers", *(("lastfm",) * ("lastgenre" in names)))
        imports = {"import": {"autotag": autotag}}
        home.configure(others, first, **sections(names, home), **imports)
        home.beet("import", str(home.source))
        yield from agree(home, **expected)
        home.mark()
        home.beet("soundtags", "-f")
        yield from agree(home, **expected)
        yield from marked(home, 0)
        if "smartplaylist" in names:
            yield from listed(home)
        if "lastgenre" in names:
            yield from polka(home)

    return scenario


def sections(names: tuple[str, ...], home: Home) -> dict[str, Any]:
    """Return the configuration of plugins."""
    found = {name: COMBINED[name][0] for name in names}
    if "inline" in names:
        found["item_fields"] = {"calm": "'yes' if mood else 'no'"}
    if "smartplaylist" in names:
        folder = str(home.folder / "playlists")
        found["smartplaylist"] = {**PLAYLISTS, "playlist_dir": folder}
    return found


def expectation(names: tuple[str, ...]) -> dict[str, Any]:
    """Return what is not as usual after an import with plugins."""
    found: dict[str, Any] = {}
    for name in names:
        for key, value in COMBINED[name][1].items():
            # Several plugins may take fields from files.
            found[key] = found.get(key, type(value)()) + value
    return found


def listed(home: Home) -> Faults:
    """Check the playlist."""
    home.beet("splupdate")  # beets 2.14 does not update it by itself
    playlist = home.folder / "playlists" / "all.m3u"
    lines = playlist.read_text().splitlines()
    if len(lines) != len(KINDS):
        yield f"{len(lines)} in the playlist"


def polka(home: Home) -> Faults:
    """Check the genres of the plugin lastgenre."""
    found = [i["genres"] for i in home.items()]
    found += [MediaFile(i["path"]).genres for i in home.items()]
    if any(genres not in (["Polka"], None) for genres in found):
        yield f"genres are {found}"


def scenarios() -> Iterator[tuple[str, Scenario]]:
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
    yield "reimport of files without our tags", reimport_without_tags
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
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pattern", nargs="?", default="")
    pattern = parser.parse_args().pattern
    chosen = {
        name: scenario
        for name, scenario in scenarios()
        if re.search(pattern, name)
    }
    if not chosen:
        parser.error(f"no way to import matches {pattern}")
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

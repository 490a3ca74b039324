"""Measure the command in a large library with nothing, or little, to do.

    python benchmarks/big_library.py [--items 50000] [--runs 7]

A throw-away library is filled with items (without files) that were all analysed
by the current default plan, in albums of twelve. Prints how long `beet
soundtags` takes there as a whole process, beside `beet version` and a query of
beets' own that matches nothing, run in turn, and what `beet soundtags --stats`
takes; whether TensorFlow was loaded; how long queries for our fields, `beet
soundlike` and `beet soundteach` take, and the queries once more in beets
without the plugin; with predictions of all tracks in the cache, how long it
takes to derive all fields again after a threshold has changed; and what `beet
soundtags` takes if one item is stale (and its file missing). The exit status is
1 if the command did anything but what it should, or loaded TensorFlow where
nothing was to do.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from beets import config
from beets.library import Library
from footprint import beet, make_library
from own_process import in_own_process

from beetsplug.soundtags import configuration, fields, tagger
from beetsplug.soundtags.provenance import Provenance
from soundtags.inference.pooling import TrackPredictions
from soundtags.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from beets.dbcore.db import Transaction
    from beets.dbcore.types import Type

CACHE = "soundtags.db"  # in the folder of the library
SHOWN = 120  # characters of a command's output
TRACKS = 12  # of an album
TARGETS = 12  # the first in the catalogue, as with a collection of heads
NOTHING_TO_DO = {
    "beet version": ["version"],
    "beet ls artist:nothing": ["ls", "-f", "", "artist:nothing"],
    "beet soundtags": ["soundtags"],
    "beet soundtags --stats": ["soundtags", "--stats"],
}
QUERIES = {
    "beet ls genres:nothing": ["ls", "-f", "", "genres:nothing"],
    "beet ls mood:nothing": ["ls", "-f", "", "mood:nothing"],
    "beet ls ^mood:happy": ["ls", "-f", "", "^mood:happy"],
    "beet ls mood:=nothing": ["ls", "-f", "", "mood:=nothing"],
    "beet ls mood::^nothing": ["ls", "-f", "", "mood::^nothing"],
    "beet ls mood:=no , mood:none": ["ls", "-f", "", "mood:=no ,", "mood:none"],
    "beet ls voice_instrumental:x": ["ls", "-f", "", "voice_instrumental:x"],
    "beet ls danceability:0.99..": ["ls", "-f", "", "danceability:0.99.."],
    "beet ls ... danceability-": [
        *("ls", "-f", "", "danceability:0.99..", "danceability-"),
    ],
    "beet ls -a mood:nothing": ["ls", "-a", "-f", "", "mood:nothing"],
}
OURS = {
    "beet soundlike": ["soundlike", "id:1"],
    "beet soundteach -p": [
        *("soundteach", "-p", "word", "id:1..6 ,", "id:13..18"),
    ],
}
# Not by -X importtime: while models are loaded, stderr is silenced.
LOADED = """\
import sys
from beets import ui
try:
    ui.main(sys.argv[1:])
finally:
    print("tensorflow" in sys.modules)
"""
ONE_STALE = {"beet soundtags, one stale": ["soundtags"]}


def make_tagger() -> tagger.Tagger:
    """Return the default tagger of the library in BEETSDIR."""
    ours = config["soundtags"]
    ours.add(configuration.DEFAULTS)
    return tagger.make_tagger(ours, logging.getLogger())


def input_digest(number: int) -> str:
    """Return the digest of a track's patches."""
    return f"{number:020x}"


def save_predictions(tagger: tagger.Tagger, count: int) -> None:
    """Fill the cache with made-up predictions for each track."""
    rng = np.random.default_rng(0)
    plan = tagger.plan
    (front_end,) = plan.front_ends
    for number in range(count):
        activations = {
            model.id: rng.beta(0.3, 3, len(model.metadata.classes))
            for model in plan.models
        }
        embeddings = {model.id: rng.normal(size=200) for model in plan.fed}
        tagger.cache.save(
            TrackPredictions(
                {front_end: input_digest(number)},
                200.0,
                0.1,
                activations,
                embeddings,
            ),
            plan,
        )


def fill(folder: Path, count: int) -> None:
    """Put albums, items and their flexible attributes into a library."""
    beet(folder, "version")  # makes the tables
    library = Library(str(folder / "library.db"), str(folder / "music"))
    tagger = make_tagger()
    save_predictions(tagger, count)
    tagger.close()
    plan = tagger.plan.digest
    with library.transaction() as transaction:
        insert(transaction, "albums", map(album, range(-(-count // TRACKS))))
        insert(transaction, "items", map(item, range(count)))
        insert(
            transaction,
            "item_attributes",
            (
                row
                for number in range(count)
                for row in attributes(number, plan)
            ),
        )


def insert(
    transaction: Transaction, table: str, rows: Iterator[dict[str, Any]]
) -> None:
    """Insert rows that all have the same columns."""
    first = next(rows)
    statement = (
        f"INSERT INTO {table} ({', '.join(first)})"
        f" VALUES ({', '.join('?' * len(first))})"
    )
    transaction.mutate(statement, list(first.values()))
    transaction.mutate_many(statement, [tuple(row.values()) for row in rows])


def album(number: int) -> dict[str, Any]:
    return {
        "id": number + 1,
        "album": f"Album {number}",
        "albumartist": f"Artist {number % 997}",
        "genres": "Rock",
        "year": 1970 + number % 50,
        "added": float(number),
    }


def item(number: int) -> dict[str, Any]:
    columns = album(number // TRACKS)
    del columns["id"]
    return {
        "id": number + 1,
        **columns,
        "album_id": number // TRACKS + 1,
        "artist": columns["albumartist"],
        "title": f"Title {number}",
        "track": number % TRACKS + 1,
        "path": f"{columns['album']}/{number}.mp3".encode(),
        "length": 180.0 + number % 120,
        "bitrate": 320000,
        "samplerate": 44100,
        "format": "MP3",
        "mb_trackid": f"{number:036}",
        "mtime": float(number),
    }


def attributes(number: int, plan: str) -> Iterator[dict[str, Any]]:
    """Yield rows as the plugin, and beets itself, store them for an item."""
    values = {name: something(KINDS[name]) for name in KINDS}
    new = dict.fromkeys(values)
    values[fields.PLAN], values[fields.INPUT] = plan, input_digest(number)
    ours = {name: values[name] for name in KINDS.keys() - fields.INTERNAL}
    Provenance.of(ours).to_field(values)
    values[fields.UNDO] = json.dumps({"plan": plan, "fields": new, "tags": {}})
    for name, kind in KINDS.items():
        value = kind.to_sql(values[name])
        yield {"entity_id": number + 1, "key": name, "value": value}
    yield {
        "entity_id": number + 1,
        "key": "data_source",
        "value": "MusicBrainz",
    }


def something(field: Type) -> Any:
    """Return a value that a field can have."""
    kind = fields.kind_of(field)
    if kind is float:
        return round(random.random(), 4)
    return ["relaxed", "happy"] if kind is list else "instrumental"


KINDS = fields.item_types(list(catalogue.targets().values())[:TARGETS])


def make_stale(folder: Path) -> None:
    """Give the middle item another plan, and an input not in the cache."""
    library = Library(str(folder / "library.db"), str(folder / "music"))
    with library.transaction() as transaction:
        (count,) = transaction.query("SELECT COUNT(*) FROM items")[0]
        transaction.mutate(
            "UPDATE item_attributes SET value = 'another'"
            f" WHERE key IN ('{fields.PLAN}', '{fields.INPUT}')"
            " AND entity_id = ?",
            (count // 2 + 1,),
        )


def measure(
    folder: Path, commands: dict[str, list[str]], runs: int
) -> dict[str, float]:
    """Run commands in turn; print what each took, and return the medians."""
    for args in commands.values():
        beet(folder, *args)  # not counted: it reads from the disk
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, args in commands.items():
            took[name].append(beet(folder, *args))
    medians = {}
    for name, pairs in took.items():
        seconds, peaks = zip(*pairs)
        medians[name] = statistics.median(seconds)
        print(
            f"{name:29} {medians[name]:6.2f} s (from {min(seconds):.2f} to"
            f" {max(seconds):.2f}), {max(peaks):4.0f} MB at its peak",
            flush=True,
        )
    return medians


def without_plugin(folder: Path) -> Path:
    """Return a folder for beets where the same library has no plugin of ours.

    Ranges of numbers need their type.
    """
    other = make_library(folder.parent / "without", "types")
    (other / "library.db").symlink_to(folder / "library.db")
    with (other / "config.yaml").open("a") as config:
        config.write("types: {danceability: float}\n")
    return other


def inspect(folder: Path, *args: str) -> tuple[str, bool]:
    """Return the output of beet, and whether it loads TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *args],
        env={**os.environ, "BEETSDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, loaded = done.stdout.splitlines()
    output = "; ".join(line.strip() for line in lines if line)
    print(f"  beet {' '.join(args)}: {output[:SHOWN]}")
    print(f"  TensorFlow loaded: {loaded}")
    return output, loaded == "True"


def derive(folder: Path, count: int) -> bool:
    """Change a threshold back and forth, and print what that takes."""
    config = folder / "config.yaml"
    plain, took = config.read_text(), []
    changed = plain.replace("{auto: no", "{auto: no, mood_threshold: 0.4")
    config.write_text(changed)
    beet(folder, "soundtags", "-qW")  # not counted: it replaces all scores
    for text in (plain, changed, plain):
        config.write_text(text)
        seconds, peak = beet(folder, "soundtags", "-qW")
        took.append(seconds)
        output, loaded = inspect(folder, "soundtags")
        if loaded or f"0 tagged, {count} already" not in output:
            return False
    size = (folder / CACHE).stat().st_size
    print(
        f"all derived again: {statistics.median(took):.1f} s (from"
        f" {min(took):.1f} to {max(took):.1f}), {peak:.0f} MB at its peak;"
        f" the cache has {size / 1e6:.0f} MB"
    )
    return True


def check(folder: Path, count: int, runs: int) -> bool:
    """Measure and print; return whether all was as it should be."""
    medians = measure(folder, NOTHING_TO_DO, runs)
    start, query, ours, _ = medians.values()
    print(
        f"  {(ours - start) * 1000:+.0f} ms over beet version,"
        f" {(ours - query) * 1000:+.0f} ms over beet ls"
    )
    output, loaded = inspect(folder, "soundtags")
    good = f"0 tagged, {count} already up to date, 0 failed" in output
    counted, loaded_to_count = inspect(folder, "soundtags", "--stats")
    measure(folder, QUERIES | OURS, runs)
    print("in beets without the plugin, once:")
    measure(without_plugin(folder), QUERIES, runs=1)
    derived = derive(folder, count)
    make_stale(folder)
    measure(folder, ONE_STALE, runs)
    output, _ = inspect(folder, "soundtags")
    return (
        derived
        and good
        and not (loaded or loaded_to_count)
        and f"{count} tracks, 0 of them not analysed" in counted
        and f"; relaxed {count} 100%" in " ".join(counted.split())
        and f"0 tagged, {count - 1} already up to date, 1 failed" in output
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=50000)
    parser.add_argument("--runs", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = make_library(Path(temporary) / "library", "soundtags")
        os.environ["BEETSDIR"] = str(folder)
        started = time.perf_counter()
        in_own_process(fill, folder, given.items)
        size = (folder / "library.db").stat().st_size
        print(
            f"{given.items} items, {len(list(attributes(0, '')))} attributes"
            f" each, {size / 1e6:.0f} MB,"
            f" filled in {time.perf_counter() - started:.0f} s"
        )
        good = check(folder, given.items, given.runs)
    sys.exit(not good)


if __name__ == "__main__":
    main()

"""Measure the page about a large collection, in a headless browser.

    python benchmarks/report.py [--items 20000] [--runs 7] [--keep FILE]

A throw-away library is filled with items (without files) of a dozen genres,
with made-up predictions for each. Prints how long `beet soundreport` takes, the
size of the page, and, in Chromium (or the browser that CHROME names): the time
until the page has been drawn, and from a click, a letter in the search box or a
move of the mouse to the frame that shows the effect.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np
from beets.library import Library
from big_library import CACHE, fill, input_digest
from footprint import beet, make_library
from own_process import in_own_process
from support.browser import FRAME, Page, browsing, find_browser

from beetsplug.soundtags.fields import LIST_OF_NAMES
from soundtags.inference.cache import EMBEDDING

GENRES = [
    *("Rock", "Electronic", "Jazz", "Folk", "Classical", "Metal"),
    *("Pop", "Ambient", "Blues", "Country", "Reggae", "Punk"),
]
MOODS = ["relaxed", "happy", "sad", "party", "aggressive", "acoustic"]
SIZE = 200  # of an embedding
# Milliseconds from an act until its effect has been drawn.
TIMED = (
    "(async () => { const start = performance.now(); {};"
    f" await {FRAME};"
    " return performance.now() - start; })()"
)
ACTS = {
    "a genre": "document.querySelector('#genres button').click()",
    "a mood": "document.querySelector('#moods button').click()",
    "reset": "document.getElementById('reset').click()",
    "a letter": "document.getElementById('search').value += '7';"
    "document.getElementById('search').dispatchEvent(new Event('input'))",
    "reset again": "document.getElementById('reset').click()",
    "other colours": "document.getElementById('colours').value = 'moods';"
    "document.getElementById('colours').dispatchEvent(new Event('change'))",
    "another score": "document.getElementById('score').value = 'energy';"
    "document.getElementById('score').dispatchEvent(new Event('change'))",
    "the mouse": "document.querySelector('#sound canvas').dispatchEvent("
    "new PointerEvent('pointermove', {clientX: 300, clientY: 700}))",
}


def make(folder: Path, count: int) -> None:
    """Fill a library and give its tracks genres, moods and embeddings."""
    fill(folder, count)
    rng, choice = np.random.default_rng(0), random.Random(0)
    genres = [
        choice.choices(range(len(GENRES)), range(len(GENRES), 0, -1))[0]
        for _ in range(count)
    ]
    library = Library(str(folder / "library.db"), str(folder / "music"))
    with library.transaction() as transaction:
        transaction.mutate_many(
            "UPDATE items SET genres = ? WHERE id = ?",
            [(GENRES[genre], n + 1) for n, genre in enumerate(genres)],
        )
        transaction.mutate_many(
            "UPDATE item_attributes SET value = ?"
            " WHERE key = 'mood' AND entity_id = ?",
            [
                (LIST_OF_NAMES.to_sql(choice.sample(MOODS, 2)), n + 1)
                for n in range(count)
            ],
        )
        transaction.mutate_many(
            "INSERT INTO item_attributes (entity_id, key, value)"
            " VALUES (?, ?, ?)",
            [
                (n + 1, name, f"{choice.random():.4f}")
                for n in range(count)
                for name in ("energy", "valence")
            ],
        )
    centres = rng.normal(size=(len(GENRES), SIZE))
    embeddings = centres[genres] + rng.normal(size=(count, SIZE))
    with closing(sqlite3.connect(folder / CACHE)) as database, database:
        database.executemany(
            "UPDATE means SET embedding = ? WHERE input = ?",
            [
                (each.tobytes(), input_digest(n))
                for n, each in enumerate(embeddings.astype(EMBEDDING))
            ],
        )


def measure(page: Page, path: Path, runs: int) -> None:
    """Print how long each act takes."""
    page.resize(1280, 900)
    show("until drawn", [page.open(path) for _ in range(runs)])
    for name, act in ACTS.items():
        timed = TIMED.replace("{}", act, 1)
        show(name, [page.run(timed) / 1000 for _ in range(runs)])


def show(name: str, seconds: list[float]) -> None:
    low, middle, high = (
        1000 * each
        for each in (min(seconds), statistics.median(seconds), max(seconds))
    )
    print(f"{name:14} {middle:5.0f} ms (from {low:.0f} to {high:.0f})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    browser = find_browser()
    if browser is None:
        sys.exit("no Chromium here; name one in CHROME")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = make_library(Path(temporary) / "library", "soundtags")
        os.environ["BEETSDIR"] = str(folder)
        in_own_process(make, folder, given.items)
        path = Path(temporary) / "report.html"
        command = ["soundreport", "-o", str(path)]
        beet(folder, *command)  # not counted: it reads from the disk
        took = [beet(folder, *command) for _ in range(given.runs)]
        show("beet", [seconds for seconds, _ in took])
        print(f"{max(peak for _, peak in took):.0f} MB at its peak")
        print(f"{path.stat().st_size / 1e6:.1f} MB for {given.items} tracks")
        if given.keep:
            shutil.copy(path, given.keep)
        with browsing(browser, Path(temporary) / "browser") as page:
            measure(page, path, given.runs)


if __name__ == "__main__":
    main()

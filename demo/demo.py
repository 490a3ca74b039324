"""Import music into a throw-away library and show what was found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import synthesise

LIBRARY = Path(__file__).resolve().parent / "library"
MUSIC = LIBRARY / "music"
# The copies are imported where they lie, so they keep their names.
CONFIG = f"""\
directory: {MUSIC}
library: {LIBRARY}/library.db
plugins: [soundtags]
import: {{copy: no, write: yes, autotag: no, quiet: yes}}
"""
CELLS = [
    "$path",
    "$title",
    "$genres",
    "$mood",
    "$danceability",
    "$voice_instrumental",
    "$soundtags",
]
HEADINGS = ["track", "genres", "mood", "danceability", "voice", "soundtags"]
QUERIES = [
    ["mood:relaxed"],
    ["danceability:0.5..", "danceability-"],
    ["voice_instrumental:voice"],
    ["genres:electronic"],
]


def beet(*args: str, title: list[str] | None = None) -> list[list[str]]:
    """Run beet on the throw-away library; return lines of cells."""
    print("\n$ beet", *(title or args), flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "beets", *args],
        env={**os.environ, "BEETSDIR": str(LIBRARY)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [line.split("\t") for line in done.stdout.splitlines()]


def tracks(*query: str) -> list[list[str]]:
    """List tracks by title, or by file name if they have none."""
    lines = beet("ls", "-f", "\t".join(CELLS), *query, title=["ls", *query])
    return [[title or Path(path).name, *cells] for path, title, *cells in lines]


def copy_files(source: Path) -> None:
    """Copy files, but not their permissions: the copies must be writable."""
    for file in filter(Path.is_file, source.rglob("*")):
        target = MUSIC / file.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def main() -> None:
    shutil.rmtree(LIBRARY, ignore_errors=True)
    LIBRARY.mkdir()
    (LIBRARY / "config.yaml").write_text(CONFIG)
    if len(sys.argv) > 1:
        copy_files(Path(sys.argv[1]))
    else:
        synthesise.write(MUSIC)
    beet("import", str(MUSIC), title=["import", "music"])
    rows = [HEADINGS, *tracks()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        print("  ".join(cells).rstrip())
    for query in QUERIES:
        for name, *_ in tracks(*query) or [["(none)"]]:
            print(name)
    print(f"\nThe library is in {LIBRARY}: look at its files' tags.")


if __name__ == "__main__":
    main()

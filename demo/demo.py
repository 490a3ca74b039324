"""Import music into a throw-away library and show what was found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import synthesise
from beets.util import displayable_path

LIBRARY = Path(__file__).resolve().parent / "library"
CONFIG = """\
directory: {folder}/music
library: {folder}/library.db
plugins: [soundtags]
import: {{copy: yes, write: yes, autotag: no, quiet: yes}}
"""
COLUMNS = (
    "$title | $genres | $mood | $danceability | $voice_instrumental"
    " ($voice_instrumental_score) | $soundtags"
)
HEADINGS = "title | genres | mood | danceability | voice | soundtags"
QUERIES = [
    ["mood:relaxed"],
    ["danceability:0.5..", "danceability-"],
    ["voice_instrumental:voice"],
    ["genres:electronic"],
]


def beet(*args: str, title: str = "") -> str:
    """Run beet on the throw-away library, show the command, return lines."""
    print(f"\n$ beet {title or ' '.join(args)}", flush=True)
    command = [sys.executable, "-m", "beets", *args]
    environment = {**os.environ, "BEETSDIR": str(LIBRARY)}
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def table(lines: list[str]) -> None:
    """Print rows of cells separated by bars, in columns."""
    rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        print("  ".join(cells).rstrip())


def main() -> None:
    shutil.rmtree(LIBRARY, ignore_errors=True)
    (LIBRARY / "music").mkdir(parents=True)
    (LIBRARY / "config.yaml").write_text(CONFIG.format(folder=LIBRARY))
    if len(sys.argv) > 1:
        music = Path(sys.argv[1]).resolve()
    else:
        music = LIBRARY / "pieces"
        for path in synthesise.write(music):
            print(f"synthesised {displayable_path(os.fsencode(path))}")
    beet("import", str(music))
    # Untagged files have no title; the file's name serves then.
    name = "%if{$title,$title,%right{$path,30}}"
    lines = beet("ls", "-f", COLUMNS.replace("$title", name), title="ls")
    table([HEADINGS, *lines.splitlines()])
    for query in QUERIES:
        title = " ".join(["ls", *query])
        print(beet("ls", "-f", name, *query, title=title), end="")
    print(f"\nThe library is in {LIBRARY}: look at its files' tags.")


if __name__ == "__main__":
    main()

"""Show the labels of real tracks, beside those of another version.

    python benchmarks/label_table.py MUSIC OUT.tsv [--before TABLE.tsv]

Analyses each file in MUSIC with the models of the package, writes its fields to
OUT.tsv, and prints the labels that a fresh installation gives it. With a table
that another version wrote (with that version's folder as PYTHONPATH), the old
labels come first. `--models FOLDER` adds models to those of the package.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import soundtags

if TYPE_CHECKING:
    from collections.abc import Mapping

    Row = Mapping[str, str]

LISTS = ("genres", "mood", "voice_instrumental", "genre_rosamerica")
SCORES = {  # field to the heading of its column
    "danceability": "dance",
    "mood_relaxed": "relaxed",
    "mood_happy": "happy",
    "mood_sad": "sad",
    "mood_aggressive": "aggressive",
    "mood_party": "party",
    "mood_acoustic": "acoustic",
    "mood_electronic": "electronic",
    "speech": "speech",
    "energy": "energy",
    "valence": "valence",
}


def analyse(folder: Path, models: str | None) -> dict[str, Row]:
    """Return the fields of all tracks in a folder, as text."""
    found = {}
    for file in sorted(folder.iterdir()):
        fields = soundtags.analyse(file, models).fields
        found[file.stem] = {n: _text(v) for n, v in fields.items()}
    return found


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else str(value)


def write(rows: Mapping[str, Row], out: Path) -> None:
    names = dict.fromkeys(name for row in rows.values() for name in row)
    with out.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, ["track", *names], delimiter="\t")
        writer.writeheader()
        writer.writerows({"track": n, **row} for n, row in rows.items())


def read(table: Path) -> dict[str, Row]:
    with table.open(encoding="utf8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return {row["track"]: row for row in rows}


def print_lists(rows: Mapping[str, Row], before: Mapping[str, Row]) -> None:
    for track, row in rows.items():
        print(f"\n{track}")
        for name in LISTS:
            if name in row:
                print(f"  {name:18} {_both(name, row, before.get(track), 28)}")


def print_scores(rows: Mapping[str, Row], before: Mapping[str, Row]) -> None:
    print(f"\n{'':22}", *(f"{head:>12}" for head in SCORES.values()))
    for track, row in rows.items():
        cells = [_both(n, row, before.get(track), 0) for n in SCORES]
        print(f"{track:22}", *(f"{cell:>12}" for cell in cells))


def _both(name: str, row: Row, before: Row | None, width: int) -> str:
    """Return a field as text, after what it was before."""
    now = _cell(row.get(name, ""))
    if before is None:
        return now
    return f"{_cell(before.get(name, '')):{width or 1}} -> {now}"


def _cell(text: str) -> str:
    try:
        return f"{float(text):.2f}"
    except ValueError:
        return text or "-"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--models")
    options = parser.parse_args()
    rows = analyse(options.music, options.models)
    write(rows, options.out)
    before = read(options.before) if options.before else {}
    print_lists(rows, before)
    print_scores(rows, before)


if __name__ == "__main__":
    main()

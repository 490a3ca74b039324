"""Fill the model folder with bad models and good ones, and use beet.

    python trials/hostile_models.py [PATTERN] [--engine auto]

PATTERN selects models by name. The bad ones crash, hang, take all memory,
return nonsense, or have unreadable metadata. `beet soundtags` must name each of
them once, with the expected reason, and run the good ones. All other commands
must succeed. No command may print a traceback, or take more than 2 GB of memory
with all its processes. (Memory is read four times a second.)
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from import_home import Home, write

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from support import hostile
from support.models import write_model
from tree_memory import watching

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 2000  # MB
GOOD = {"good-1": None, "head-1": "msd-musicnn-1"}  # and their backbones
IMPORT = "import {folder}/more"
COMMANDS = [
    "soundtags",
    "ls",
    "version",
    "soundmodels list",
    "soundmodels info good-1",
    "soundmodels verify",
    "soundtags --stats",
    "soundfeatures -m good-1 -o {folder}/features.npz",
    "soundreport -o {folder}/report.html",
    "soundlike title:Other",
    IMPORT,
]
TRACKS = {"soundtags": 4, IMPORT: 5}  # that have values then
LEFT_OUT = re.compile(r"left out: (.+?)(?:\.json)?: (.*)")


def prepare(folder: Path, engine: str) -> Home:
    """Return a library with tracks, and more of them to be imported."""
    home = Home(folder)
    settings = {"patches": 1, "jobs": 1, "engine": engine}
    home.configure(soundtags={**settings, "auto": False})
    write(home.source / "other.flac", "Other", 9)
    home.beet("import", str(home.source))
    write(folder / "more" / "more.flac", "More", 10, "Another")
    home.configure(soundtags=settings)
    return home


def write_models(folder: Path, pattern: str) -> tuple[dict[str, str], set[str]]:
    """Write models; return the expected reasons of bad ones, and good ones."""
    folder.mkdir()
    expected = {}
    for name, (build, reason) in hostile.GRAPHS.items():
        if re.search(pattern, name):
            hostile.write_graph(folder, name, build)
            expected[name] = reason
    for name in hostile.write_broken_metadata(folder):
        if re.search(pattern, name):
            expected[name] = "."
        else:
            for path in folder.glob(f"{name}.*"):
                path.unlink()
    good = {name for name in GOOD if re.search(pattern, name)}
    for name in good:
        write_model(folder, name, ["red", "green"], [0, 1], GOOD[name])
    return expected, good


def run(home: Home, command: str) -> tuple[list[str], str, float]:
    """Run a command; return faults, what it prints, and MB at the peak."""
    words = command.format(folder=home.folder).split()
    process = home.start(*words)
    seen = [0.0]
    with watching(process.pid, seen.append):
        output, errors = process.communicate()
    faults = []
    if process.returncode:
        faults.append(f"status {process.returncode}: {errors[-300:]}")
    if "Traceback" in errors:
        faults.append(errors[errors.index("Traceback") :])
    if max(seen) > LIMIT:
        faults.append(f"takes {max(seen):.0f} MB")
    return faults, output + errors, max(seen)


def wrong_names(text: str, expected: dict[str, str]) -> Iterator[str]:
    """Yield what is wrong about the models that a run has left out."""
    named = LEFT_OUT.findall(text)
    count = Counter(name for name, _ in named)
    for name in sorted(expected.keys() | count.keys()):
        if count[name] != (name in expected):
            yield f"{name} is named {count[name]} times"
    for name, reason in named:
        if name in expected and not re.match(expected[name], reason):
            yield f"{name}: {reason}"


def not_run(home: Home, good: set[str], tracks: int) -> Iterator[str]:
    """Yield good models that have not run, and tracks that are missing."""
    items = home.items()
    if len(items) != tracks:
        yield f"{len(items)} tracks, not {tracks}"
    for item in items:
        for name in good:
            field = f"soundtags_{name.removesuffix('-1')}"
            if item.get(field) != "green":
                yield f"{item['title']}: {field} {item.get(field)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--engine", default="auto", help="that runs models")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        args = parser.parse_args()
        home = prepare(Path(folder), args.engine)
        models = home.folder / "soundtags-models"
        expected, good = write_models(models, args.pattern)
        print(f"{len(expected)} bad models, {len(good)} good ones")
        for command in COMMANDS:
            faults, text, peak = run(home, command)
            if command == "soundtags":
                faults += wrong_names(text, expected)
            if command in TRACKS:
                faults += not_run(home, good, TRACKS[command])
            line = f"WRONG: {'; '.join(faults)}" if faults else "ok"
            name = command.replace("{folder}/", "")
            print(f"{name}: {line}, {peak:.0f} MB", flush=True)
            wrong += bool(faults)
    print(f"{len(COMMANDS)} commands, {wrong} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()

"""Run the command on everything that a library can hold.

    python trials/everything.py [FOLDER ...] [--jobs 1 2] [--hours 3] [--table]

A throw-away library gets copies of all files in the folders, and what the
script makes: links to nowhere and to themselves, a pipe, folders and devices
with the names of music, names with special characters, and malformed audio.
`beet soundtags` then analyses all of them, once per number of jobs, and a last
time to write its tags.

Prints the result for each file (with --table grouped, in reStructuredText). The
exit status is 1 if the command failed or printed a traceback, if the numbers of
its summary do not add up, if a value in the library is not finite, or if two
runs differ in a stored decimal. Root can read the unreadable file, too.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from beets.library import Item, Library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RATE = 44100
SECONDS = 5
CONFIG = """\
directory: {folder}/music
library: {folder}/library.db
plugins: [soundtags]
import: {{write: yes}}
ui: {{color: no}}
"""
NAMES = {
    "new line": b"new\nline.flac",
    "leading dash": b"-rf.flac",
    "not UTF-8": b"\xff\xfe\xc3.flac",
    "emoji": "\N{MUSICAL NOTE}\N{PILE OF POO}.flac".encode(),
    "a protocol, concat:": b"concat:a|b.mp3",
    "a protocol, http:": b"http:__x.mp3",
    "a protocol, pipe:": b"pipe:0.mp3",
    "shell's own": b"$(touch x);`id`&|>*?'\".flac",
    "255 bytes": b"n" * 250 + b".flac",
    "spaces at the ends": b" .flac ",
    "no ending": b"music",
    "right to left": "\u202eflac.\u05d0".encode(),
}
# Fields that need not be the same after each run.
PER_RUN = ("mtime", "id", "path", "added", "soundtags_undo")
SUMMARY = re.compile(
    r"^(\d+) tagged, (\d+) already up to date, (\d+) failed", re.MULTILINE
)


def music(seconds: float = SECONDS, rate: int = RATE) -> np.ndarray:
    """Return noise with a beat and a tone, mono."""
    time = np.arange(int(seconds * rate)) / rate
    beat = np.exp(-8 * (time % 0.5))
    hiss = np.random.default_rng(0).standard_normal(len(time))
    return (0.3 * np.sin(1382 * time) + 0.2 * beat * hiss).astype(np.float32)


def wav(samples: np.ndarray, rate: int = RATE) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, samples, rate, "FLOAT")


def with_sample(value: float) -> Callable[[Path], None]:
    samples = music()
    samples[RATE : RATE + 100] = value
    return wav(samples)


def write_minutes(path: Path, minutes: int) -> None:
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_U8") as file:
        part = music(60, 8000)
        for _ in range(minutes):
            file.write(part)


@cache
def encoded(kind: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        soundfile.write(path, music(), RATE)
        return path.read_bytes()


def patched(kind: str, start: int, patch: bytes) -> Callable[[Path], None]:
    content = bytearray(encoded(kind))
    content[start : start + len(patch)] = patch
    return lambda path: path.write_bytes(content)


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        # The path of a socket cannot be longer than about 100 bytes.
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


def unreadable(path: Path) -> None:
    path.write_bytes(encoded("flac"))
    path.chmod(0)


# Name in the table to the name of the file, and how it is made.
MADE: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "link to nowhere": ("dangling.mp3", lambda p: p.symlink_to("nowhere")),
    "link to itself": ("loop.mp3", lambda p: p.symlink_to(p.name)),
    "link to a folder": ("up.mp3", lambda p: p.symlink_to("..")),
    "link to an endless device": (
        "zero.mp3",
        lambda p: p.symlink_to("/dev/zero"),
    ),
    "pipe": ("pipe.mp3", lambda p: os.mkfifo(p)),
    "socket": ("socket.mp3", bind),
    "folder": ("folder.mp3", lambda p: p.mkdir()),
    "unreadable": ("unreadable.flac", unreadable),
    "missing": ("missing.flac", lambda _: None),
    "0 bytes": ("empty.mp3", lambda p: p.write_bytes(b"")),
    "1 sample": ("one.wav", wav(music()[:1])),
    "384 kHz": ("384k.wav", wav(music(rate=384_000), 384_000)),
    "1 Hz": ("1hz.wav", wav(music(60, 1), 1)),
    "8 channels": ("8.wav", wav(np.stack([music()] * 8, 1))),
    "not a number": ("nan.wav", with_sample(math.nan)),
    "infinite": ("inf.wav", with_sample(math.inf)),
    "1e30": ("huge.wav", with_sample(1e30)),
    "direct current": ("dc.wav", wav(np.full(5 * RATE, 0.5, np.float32))),
    "silence": ("silence.wav", wav(np.zeros(5 * RATE, np.float32))),
    "near silence": ("quiet.wav", wav(music() * 1e-4)),
    "quiet music": ("soft.wav", wav(music() * 1e-2)),
    "white noise": (
        "noise.wav",
        wav(np.random.default_rng(1).uniform(-1, 1, 5 * RATE)),
    ),
    "64 KB of junk first": (
        "junk.mp3",
        lambda p: p.write_bytes(os.urandom(1 << 16) + encoded("mp3")),
    ),
    "FLAC called .mp3": ("not.mp3", lambda p: p.write_bytes(encoded("flac"))),
    "MP3 called .wav": ("not.wav", lambda p: p.write_bytes(encoded("mp3"))),
    # The number of samples: the 36 bits before the checksum at byte 26.
    "FLAC of unknown length": (
        "unknown.flac",
        patched("flac", 22, bytes(4)),
    ),
    "wrong checksum": ("checksum.flac", patched("flac", 26, bytes(16))),
    "text": ("text.mp3", lambda p: p.write_text("no music\n" * 999)),
    "random bytes": ("random.ogg", lambda p: p.write_bytes(os.urandom(99999))),
}


def provide(
    folder: Path, sources: list[Path], hours: float
) -> dict[bytes, str]:
    """Fill a folder; return the name of each file in the table, by path."""
    found = {}
    for source in sources:
        for number, file in enumerate(sorted(source.iterdir())):
            if file.is_file() and file.suffix not in (".md", ".txt"):
                # The content matters here, not the name.
                target = folder / f"{source.name}{number}{file.suffix}"
                shutil.copyfile(file, target)
                found[os.fsencode(target)] = f"{source.name}/{file.name}"
    odd = folder / "odd"
    odd.mkdir()
    write_minutes(odd / "long.wav", round(60 * hours))
    found[os.fsencode(odd / "long.wav")] = f"{hours:g} hours"
    for label, (name, make) in MADE.items():
        make(odd / name)
        found[os.fsencode(odd / name)] = label
    for label, name in NAMES.items():
        path = os.path.join(os.fsencode(odd), name)
        Path(os.fsdecode(path)).write_bytes(
            encoded("mp3" if name.endswith(b"mp3") else "flac")
        )
        found[path] = f"name: {label}"
    return found


def beet(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "beets", *args],
        env={**os.environ, "BEETSDIR": str(folder)},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        stdin=subprocess.DEVNULL,
        check=False,
    )


def stored(folder: Path) -> dict[str, dict[str, str]]:
    """Return the fields of each file in the library, by name in the table."""
    library = Library(str(folder / "library.db"), str(folder / "music"))
    return {
        item.title: {
            key: str(item[key])
            for key in item.keys(computed=False)
            if key not in PER_RUN
        }
        for item in library.items()
    }


def report(
    name: str, done: subprocess.CompletedProcess[str], count: int
) -> Iterator[str]:
    """Print the summary of a run; yield what is wrong with it."""
    numbers = SUMMARY.search(done.stdout)
    print(f"{name}: {numbers and numbers[0]}")
    if done.returncode:
        yield f"exit status {done.returncode}"
    output = done.stdout + done.stderr
    if "Traceback" in output:
        yield output[output.index("Traceback") :]
    if not numbers or sum(map(int, numbers.groups())) != count:
        yield f"{numbers and numbers[0]}, of {count}"


def faults(
    values: dict[str, dict[str, str]], others: dict[str, dict[str, str]]
) -> Iterator[str]:
    """Yield what is wrong with values, or differs from those of another run."""
    for label, fields in values.items():
        for name, value in fields.items():
            if value.lower() in ("nan", "inf", "-inf"):
                yield f"{label}: {name} is {value}"
        for name in sorted(fields.keys() | others[label].keys()):
            value, other = fields.get(name), others[label].get(name)
            if value != other:
                yield f"{label}: {name} is {value}, and was {other}"


def outcome(path: bytes, values: dict[str, str], messages: str) -> str:
    """Return the message about a file, or how it was tagged."""
    name = os.fsdecode(path)
    lines = [line for line in messages.split("soundtags: ") if name in line]
    if lines:
        return lines[0].partition(f"{name}: ")[2].splitlines()[0]
    if "soundtags_plan" not in values:
        return "no message, no values"
    return "tagged" if "danceability" in values else "tagged as silence"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--jobs", nargs="+", default=["1", "2", "4"])
    parser.add_argument("--hours", type=float, default=3, help="of one file")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "music").mkdir()
        (folder / "config.yaml").write_text(CONFIG.format(folder=folder))
        files = provide(folder / "music", options.folders, options.hours)
        library = Library(str(folder / "library.db"), str(folder / "music"))
        for path, label in files.items():
            library.add(Item(path=path, title=label))
        first: dict[str, dict[str, str]] = {}
        for jobs in options.jobs:
            done = beet(folder, "soundtags", "-f", "-W", "-j", jobs)
            wrong += report(f"jobs {jobs}", done, len(files))
            values = stored(folder)
            first = first or values
            wrong += faults(values, first)
        done = beet(folder, "soundtags", "-f", "-w")
        wrong += report("writing", done, len(files))
        wrong += faults(stored(folder), first)
        shown = {
            label: outcome(path, first[label], done.stderr)
            for path, label in files.items()
        }
        with suppress(OSError):
            os.chmod(folder / "music" / "odd" / "unreadable.flac", 0o644)
    show(shown, options.table)
    for line in wrong:
        print(f"WRONG: {line}")
    sys.exit(bool(wrong))


def show(outcomes: dict[str, str], table: bool) -> None:
    if table:
        by_outcome = Counter(outcomes.values())
        for result, count in by_outcome.most_common():
            labels = [each for each in outcomes if outcomes[each] == result]
            print(f"{result} ({count})\n    {', '.join(labels)}")
    else:
        for label, result in outcomes.items():
            print(f"{label}: {result}")


if __name__ == "__main__":
    main()

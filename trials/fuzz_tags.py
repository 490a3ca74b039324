"""Write tags into files damaged at random, and check that no audio is lost.

    python trials/fuzz_tags.py FOLDER [--files 20000] [--seed 0]

The first seconds of the files in FOLDER are damaged as in fuzz.py. Tags are
then written into each, and taken out again. After each step, FFmpeg (the
program, not the library that the plugin uses) must decode the same samples from
the file as before, and all tags of others must be there byte for byte. (Where
FFmpeg finds no audio to begin with, there is none to be lost.) A file into
which no tags are written must be untouched. The exit status is 1 if any of
this was not so, or if anything else went wrong. Needs the program ffmpeg.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from fuzz import damaged
from harmless import audio_digest, tags_of_others

from beetsplug.soundtags.file_tags import read_tags, restore_tags, write_tags
from soundtags.errors import UnwritableTags

SECONDS = "2"
FIELDS = {
    "mood": ["calm", "sad"],
    "danceability": 0.25,
    "voice_instrumental": "voice",
}


def shortened(path: Path, folder: Path) -> bytes:
    """Return the start of a file; all of it where FFmpeg cannot encode."""
    short = folder / path.name
    done = subprocess.run(
        [*("ffmpeg", "-v", "error", "-y", "-i", path), *("-t", SECONDS)]
        + ["-metadata", "comment=theirs", short],
        check=False,
        stderr=subprocess.DEVNULL,
    )
    return (path if done.returncode else short).read_bytes()


def outcome(contents: list[tuple[str, bytes]], seed: int, number: int) -> str:
    """Damage a file, write tags and take them out; return what came of it."""
    rng = random.Random(f"{seed} {number}")
    name, content = rng.choice(contents)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(damaged(content, rng))
        try:
            found = change(path, id3v23=rng.random() < 0.5)
        except Exception as exc:  # each is a fault, which the trial is to show
            found = f"WRONG: {type(exc).__name__}: {exc}"
    if found.isupper() or found.startswith("WRONG"):
        print(f"{number} {name}: {found}", flush=True)
    return found


def change(path: Path, id3v23: bool) -> str:
    """Write tags and take them out; return the first thing that is wrong."""
    original = _copy(path, "original")
    try:
        tags = read_tags(os.fspath(path), FIELDS)
        write_tags(os.fspath(path), FIELDS, id3v23)
    except UnwritableTags as exc:
        same = path.read_bytes() == original.read_bytes()
        return reason(exc) if same else "CHANGED WITHOUT BEING WRITTEN"
    written = _copy(path, "written")
    outcome = "written and restored"
    try:
        restore_tags(os.fspath(path), tags, FIELDS, id3v23)
    except UnwritableTags as exc:
        outcome = f"written, then {reason(exc)}"
    return difference(original, written, path) or outcome


def _copy(path: Path, prefix: str) -> Path:
    return shutil.copyfile(path, path.with_name(f"{prefix}-{path.name}"))


def reason(exc: UnwritableTags) -> str:
    """Return an error without what is specific to the file."""
    return str(exc).split("(")[0].split(":")[1].strip()[:60]


def difference(original: Path, *others: Path) -> str:
    """Return what differs between a file and others; empty if nothing does."""
    before, *found = digests([original, *others])
    if before and any(digest != before for digest in found):
        return "AUDIO DIFFERS"
    tags = tags_of_others(original)
    if any(tags_of_others(path) != tags for path in others):
        return "TAGS OF OTHERS DIFFER"
    return ""


def digests(paths: list[Path]) -> list[str]:
    """Return digests of the audio of files; empty where FFmpeg finds none.

    FFmpeg takes longer to start than to decode, so it gets all files at once,
    unless there is one that it cannot open.
    """
    inputs = [word for path in paths for word in ("-i", path)]
    maps = [word for n in range(len(paths)) for word in ("-map", f"{n}:a:0")]
    done = subprocess.run(
        ["ffmpeg", "-v", "error", *inputs, *maps]
        + ["-f", "streamhash", "-hash", "md5", "-"],
        capture_output=True,
        check=False,
        text=True,
    )
    found = [line.rsplit("=", 1)[1] for line in done.stdout.splitlines()]
    if len(found) == len(paths):
        return found
    return [audio_digest(path) for path in paths]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("this needs the program ffmpeg")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor() as pool:
        folder = Path(name)
        contents = [
            (path.name, shortened(path, folder))
            for path in sorted(options.folder.iterdir())
            if path.is_file()
        ]
        work = partial(outcome, contents, options.seed)
        outcomes = Counter(pool.map(work, range(options.files), chunksize=20))
    took = time.monotonic() - started
    print(f"{options.files} files of {len(contents)} in {took / 60:.1f} min")
    for each, count in outcomes.most_common():
        print(f"{count:6} {each}")
    wrong = [each for each in outcomes if each.isupper() or "WRONG" in each]
    if wrong:
        sys.exit(f"wrong: {sum(outcomes[each] for each in wrong)}")
    print("no file was harmed")


if __name__ == "__main__":
    main()

"""Import, tag and undo files of all kinds; check that no audio or tag is lost.

    python trials/harmless.py FOLDER... [--limit N] [--modes MODE...]

Each file is imported into a library of its own: copied, moved and in place.
After each step, FFmpeg (the program, not the library that the plugin uses) must
decode the same samples from the file, and all tags of others must be there byte
for byte. Library and file must agree, and a second run must have nothing to do.
The exit status is 1 if any of this was not so. Needs the program ffmpeg.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import yaml

from beetsplug.soundtags.parts import UnknownStructure
from beetsplug.soundtags.parts.reading import read_parts

MODES = {
    "copy": {"copy": True},
    "move": {"copy": False, "move": True},
    "in place": {"copy": False},
}
STEPS = {
    "import": ["import", "-A", "-s"],
    "tag": ["soundtags"],
    "again": ["soundtags"],
    "undo": ["soundtags", "--undo"],
}
OURS = {
    *("MOOD", "TXXX:MOOD", "TMOO", "WM/MOOD", "----:COM.APPLE.ITUNES:MOOD"),
    *("GENRE", "TCON", "\xa9GEN", "WM/GENRE", "VENDOR", "ID3 VERSION"),
    *(
        prefix + name
        for prefix in ("", "TXXX:", "----:COM.APPLE.ITUNES:")
        for name in ("DANCEABILITY", "VOICE_INSTRUMENTAL")
    ),
}


@dataclass
class State:
    """What must not change: the decoded audio, and the tags of others."""

    audio: str
    tags: Counter[tuple[str, bytes]]

    @classmethod
    def of(cls, path: Path) -> State:
        return cls(audio_digest(path), tags_of_others(path))


def audio_digest(path: Path) -> str:
    """Return a digest of the audio of a file, as FFmpeg decodes it."""
    done = subprocess.run(
        [*("ffmpeg", "-v", "error", "-i", path), *("-map", "0:a")]
        + ["-f", "md5", "-"],
        capture_output=True,
        check=False,
    )
    return done.stdout.decode()


def tags_of_others(path: Path) -> Counter[tuple[str, bytes]]:
    """Return tags of others in a file; all content if it is not understood."""
    try:
        tags = read_parts(str(path)).tags
    except UnknownStructure:
        return Counter({("file", path.read_bytes()): 1})
    return Counter(
        (tag.name, tag.content) for tag in tags if tag.name.upper() not in OURS
    )


@dataclass
class Home:
    """beet with a library of its own."""

    folder: Path

    def configure(self, mode: str) -> None:
        config = {
            "directory": str(self.folder / "music"),
            "library": str(self.folder / "library.db"),
            "plugins": ["soundtags"],
            # NumPy starts soonest; what is written is the same with any engine.
            "soundtags": {
                "auto": False,
                "engine": "numpy",
                "patches": 2,
                "jobs": 1,
            },
            "import": {"quiet": True, "write": True, **MODES[mode]},
            "ui": {"color": False},
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def __call__(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "beets", *map(str, args)],
            env={**os.environ, "BEETSDIR": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def differences(self) -> list[str]:
        """Return what `beet update` would change, in its words.

        Bit rates are left out: for Monkey's Audio, they include the tags.
        """
        lines = self("update", "-p").stdout.splitlines()
        return [
            line
            for line in lines
            if line.startswith("  ") and not line.startswith("  bitrate:")
        ]

    def path(self) -> Path | None:
        lines = self("ls", "-f", "$path").stdout.splitlines()
        return Path(lines[0]) if lines else None


def check(source: Path, mode: str) -> dict[str, str]:
    """Return what each step came to."""
    found: dict[str, str] = {}
    differences: dict[str, list[str]] = {}  # of library and file
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        home.configure(mode)
        for folder in ("in", "music"):
            (home.folder / folder).mkdir()
        path = home.folder / "in" / source.name
        shutil.copyfile(source, path)
        before = State.of(path)
        for step, args in STEPS.items():
            done = home(*args, *([path] if step == "import" else []))
            if step == "import":
                path = home.path() or path
            found[step] = judge(home, step, path, before, done)
            if found[step] == "not imported":
                break
            os.utime(path, (time.time(), path.stat().st_mtime + 10))
            differences[step] = home.differences()
            # Even without us, beets and a file may differ in an empty tag.
            wanted = differences["import"] if step == "undo" else []
            if step != "import" and differences[step] != wanted:
                found[step] = "LIBRARY AND FILE DIFFER"
    return found


def judge(
    home: Home,
    step: str,
    path: Path,
    before: State,
    done: subprocess.CompletedProcess[str],
) -> str:
    """Return what a step came to, in a word or two."""
    if "Traceback" in done.stderr:
        return "TRACEBACK"
    if step == "import" and home.path() is None:
        return "not imported"
    after = State.of(path)
    if after.audio != before.audio:
        return "AUDIO DIFFERS"
    if after.tags != before.tags:
        return "TAGS OF OTHERS DIFFER"
    if "tags not written" in done.stderr:
        return "not written"
    if "1 failed" in done.stdout:
        return "not analysed"
    if step == "again" and "1 already up to date" not in done.stdout:
        return "DONE AGAIN"
    return "ok"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, help="maximum number of files")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=[*MODES])
    args = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("this needs the program ffmpeg")
    files = [
        file
        for folder in args.folders
        for file in sorted(folder.iterdir())
        if file.suffix not in (".md", ".txt")
    ][: args.limit]
    bad = 0
    print(
        f"{'file':30} {'import':8} " + " ".join(f"{s:12}" for s in STEPS),
        flush=True,
    )
    for file in files:
        for mode in args.modes:
            outcomes = check(file, mode)
            bad += any(each.isupper() for each in outcomes.values())
            print(
                f"{file.name[:30]:30} {mode:8} "
                + " ".join(f"{each:12}" for each in outcomes.values()),
                flush=True,
            )
    if bad:
        sys.exit(f"{bad} files were harmed")
    print("no file was harmed")


if __name__ == "__main__":
    main()

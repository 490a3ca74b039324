"""Go from an empty folder to three playlists in MPD, and time it.

    python benchmarks/newcomer.py MUSIC

Everything happens in a throw-away home: a clone of this checkout, a fresh
virtual environment, a configuration as in the documentation, an import that
copies MUSIC, and ready-made lists, which need a dozen tracks or so. If mpd and
mpc are there, MPD then reads the music and plays three of the lists. Prints
what a newcomer types and sees, and then how long each command took. Pip
downloads all packages.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "tests"))

from support import mpd

BIN = "Scripts" if os.name == "nt" else "bin"
LISTS = "Playlists"  # in the folder with the music, as MPD asks
CONFIG = """\
directory: {home}/Music
plugins: soundtags
import:
    quiet: yes
"""
PLAYED = 3  # lists
SHOWN = "[%artist% - ]%title%"
BACKUP = "Created database backup"  # printed by beets when its database is new


class Newcomer:
    """A newcomer, with a home.

    Attributes
    ----------
    home
        Their folder.
    environment
        The environment of commands.
    times
        What was typed, and how many seconds it took.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        beets = home / "beets"
        beets.mkdir()
        config = CONFIG.format(home=home.as_posix())
        (beets / "config.yaml").write_text(config)
        self.environment = {**os.environ, "BEETSDIR": str(beets)}
        self.environment.pop("PYTHONPATH", None)
        self.times: list[tuple[str, float]] = []

    def type(self, *command: str | Path) -> None:
        """Run a command, and print it and its output as a terminal would."""
        words = [str(word) for word in command]
        typed = shlex.join(words).replace(str(HERE), "...")
        typed = typed.replace(sys.executable, "python3")
        typed = typed.replace(str(self.home / "env" / BIN), "env/bin")
        typed = typed.replace(str(self.home), "~")
        print(f"$ {typed}", flush=True)
        started = time.perf_counter()
        done = subprocess.run(
            words,
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.times.append((typed, time.perf_counter() - started))
        for line in done.stdout.splitlines():
            if not line.startswith(BACKUP):
                print(line.replace(str(self.home), "~"), flush=True)

    def install(self) -> None:
        clone = self.home / "beets-soundtags"
        env = self.home / "env"
        self.type("git", "clone", "-q", HERE, clone)
        self.type(sys.executable, "-m", "venv", env)
        self.type(env / BIN / "pip", "install", "-q", clone)

    def make_lists(self, music: Path) -> None:
        beet = self.home / "env" / BIN / "beet"
        self.type(beet, "import", "-A", music)
        lists = self.home / "Music" / LISTS
        self.type(beet, "soundlists", "-o", lists)

    def listen(self) -> None:
        music = self.home / "Music"
        lists = sorted((music / LISTS).glob("*.m3u8"))
        with mpd.running(music) as player:
            self.environment = player.environment
            self.type("mpc", "search", '(Mood == "relaxed")')
            for path in lists[:PLAYED]:
                self.type("mpc", "-q", "clear")
                self.type("mpc", "load", path.relative_to(music))
                self.type("mpc", "-f", SHOWN, "play")
            self.type("mpc", "-f", SHOWN, "playlist")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        newcomer = Newcomer(Path(temporary))
        music = newcomer.home / "music"
        shutil.copytree(given.music, music)
        newcomer.install()
        newcomer.make_lists(music)
        if missing := mpd.missing():
            print(f"Not played: {missing}")
        else:
            newcomer.listen()
        total = sum(seconds for _, seconds in newcomer.times)
        for typed, seconds in [*newcomer.times, ("together", total)]:
            print(f"{typed:48} {seconds:6.1f} s")


if __name__ == "__main__":
    main()

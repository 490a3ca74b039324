"""Time each step from an empty folder to a first playlist.

    python benchmarks/newcomer.py [--music FOLDER]

Everything happens in a throw-away folder: a clone of this checkout, a fresh
virtual environment, a configuration as in the documentation, an import that
copies the music, and a smart playlist. Without `--music`, the three pieces of
the demonstration are imported. Prints the commands and how long each took, the
sum, and how many tracks are in the playlist. Pip downloads all packages.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CONFIG = """\
directory: {folder}/Music
library: {folder}/library.db
plugins: soundtags smartplaylist
import:
    quiet: yes
smartplaylist:
    playlist_dir: {folder}/playlists
    playlists:
        - name: relaxed.m3u
          query: mood:relaxed
"""


def steps(folder: Path, music: Path) -> list[tuple[str, list[str | Path]]]:
    """Return what a newcomer types, and the command that runs instead."""
    bin_ = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    beet = bin_ / "beet"
    clone = folder / "beets-soundtags"
    return [
        ("git clone ...", ["git", "clone", "-q", HERE, clone]),
        ("python3 -m venv env", [sys.executable, "-m", "venv", folder / "env"]),
        (
            "pip install ./beets-soundtags",
            [bin_ / "python", "-m", "pip", "install", "-q", clone],
        ),
        ("beet import ~/music", [beet, "import", "-A", music]),
        ("beet ls mood:relaxed", [beet, "ls", "mood:relaxed"]),
        ("beet splupdate", [beet, "splupdate"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--music", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        music = given.music
        if music is None:
            sys.path.insert(0, str(HERE / "demo"))
            import synthesise

            music = folder / "music"
            synthesise.write(music)
        home = folder / "beets"
        home.mkdir()
        config = CONFIG.format(folder=folder.as_posix())
        (home / "config.yaml").write_text(config)
        environment = {**os.environ, "BEETSDIR": str(home)}
        environment.pop("PYTHONPATH", None)
        total = 0.0
        for typed, command in steps(folder, music.resolve()):
            started = time.perf_counter()
            subprocess.run(
                command,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            took = time.perf_counter() - started
            total += took
            print(f"{typed:32} {took:6.1f} s", flush=True)
        print(f"{'together':32} {total:6.1f} s")
        playlist = (folder / "playlists" / "relaxed.m3u").read_text()
        print(f"{len(playlist.splitlines())} tracks in relaxed.m3u")


if __name__ == "__main__":
    main()

"""MPD with a database of its own, whose sound goes nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

KNOWS_MOODS = (0, 24)
TIMEOUT = 60  # seconds
CONFIG = """\
music_directory "{music}"
playlist_directory "{folder}/playlists"
db_file "{folder}/database"
log_file "{folder}/log"
pid_file "{folder}/pid"
bind_to_address "{folder}/socket"
audio_output {{
    type "null"
    name "nowhere"
}}
"""


def missing() -> str:
    """Return what keeps MPD from being tried here; empty if nothing does."""
    if not (shutil.which("mpd") and shutil.which("mpc")):
        return "needs mpd and mpc"
    found = re.search(r"Daemon (\d+)\.(\d+)", _run(["mpd", "--version"]))
    if found is None or tuple(map(int, found.groups())) < KNOWS_MOODS:
        return "needs MPD 0.24, the first that knows moods"
    return ""


@dataclass
class Mpd:
    """MPD, controlled by mpc."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment of processes that are to find MPD."""
        return {**os.environ, "MPD_HOST": str(self.folder / "socket")}

    def mpc(self, *args: str) -> list[str]:
        """Run mpc, check that it succeeds, and return lines of output."""
        return _run(["mpc", *args], self.environment).splitlines()


@contextmanager
def running(music: Path) -> Iterator[Mpd]:
    """Run MPD on a folder with music; wait until it has read it."""
    # The name of a socket must be short.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "playlists").mkdir()
        config = folder / "mpd.conf"
        config.write_text(CONFIG.format(folder=folder, music=music))
        _run(["mpd", str(config)])
        try:
            mpd = Mpd(folder)
            mpd.mpc("update", "--wait")
            yield mpd
        finally:
            _run(["mpd", "--kill", str(config)])


def _run(words: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        words,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

"""beet as its users run it, each time in a process of its own.

Starting Python and loading beets takes a second, and the suite calls beet
hundreds of times. So a server loads all that calls need once, and each call is
a fork of it: as separate from the others as any process, but ready at once.
Where there is no fork, each call is a new process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from soundtags.models.taught_words import TaughtWord, write_word

SEPARATOR = "\\\u2400"  # between the values of a list in the database
TIMEOUT = 300  # seconds
PRELOADED = ["av", "beets.ui", "beets.ui.commands", "rich", "soundfile"]
PRELOADED += [
    f"beetsplug.soundtags.commands.{name}"
    for name in ("soundlists", "soundreport", "soundtags")
]
PRELOADED += ["threadpoolctl"]
PRELOADED += ["soundtags.inference.pipeline", "soundtags.inference.executor"]
PRELOADED += ["soundtags.inference.verdicts", "soundtags.models.plan"]
PRELOADED += ["numpy.fft", "numpy.random", "email.parser"]
PRELOADED += [  # what mutagen loads to find out what a file is
    f"mutagen.{name}"
    for name in (
        *("ac3", "aiff", "apev2", "asf", "dsdiff", "dsf", "flac", "mp4"),
        *("monkeysaudio", "musepack", "oggflac", "oggopus", "oggspeex"),
        *("oggtheora", "oggvorbis", "optimfrog", "smf", "tak", "trueaudio"),
        *("wave", "wavpack"),
    )
]
FORKS = "forkserver" in multiprocessing.get_all_start_methods()

context = multiprocessing.get_context("forkserver" if FORKS else "spawn")
if FORKS:
    context.set_forkserver_preload(PRELOADED)


@dataclass
class Beet:
    """beet with a library of its own.

    Attributes
    ----------
    folder
        Where its configuration, its library and its music are.
    models
        Whether models run, on NumPy unless the configuration says otherwise.
        If not, predictions are made up by :mod:`support.made_up`.
    """

    folder: Path
    models: bool = False

    @classmethod
    def new(cls, folder: Path, **changes: Any) -> Beet:
        """Return beet with an empty library in a folder of its own."""
        (folder / "music").mkdir(parents=True)
        made = cls(folder)
        made.configure(**changes)
        return made

    def begin_with(self, other: Beet) -> None:
        """Copy the library of another; the configuration stays."""
        shutil.copytree(
            other.folder,
            self.folder,
            ignore=shutil.ignore_patterns("config.yaml"),
            dirs_exist_ok=True,
        )

    def configure(self, **changes: Any) -> None:
        """Write the configuration; `changes` replace whole sections."""
        config = {
            "directory": str(self.folder / "music"),
            "library": str(self.folder / "library.db"),
            "plugins": ["soundtags"],
            "soundtags": {"patches": 2, "jobs": 1},
            "import": {"quiet": True, "copy": True, "write": True},
            "ui": {"color": False},
            **changes,
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def environment(self) -> dict[str, str]:
        environment = {**os.environ, "BEETSDIR": str(self.folder)}
        # Users have not set it, so neither do these processes.
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        return environment

    def __call__(
        self,
        *args: str | Path,
        status: int | None = 0,
        cwd: Path | None = None,
        input: str = "",  # noqa: A002
    ) -> subprocess.CompletedProcess[str]:
        """Run a command, and check its exit status, unless that is None."""
        words = [str(each) for each in args]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stdin").write_text(input)
            process = context.Process(
                target=_serve,
                args=(
                    words,
                    folder,
                    self.environment(),
                    cwd or Path.cwd(),
                    self.models,
                ),
            )
            process.start()
            process.join(TIMEOUT)
            if process.is_alive():
                process.kill()
                process.join()
            output, errors = (
                (folder / stream).read_text("utf-8", "surrogateescape")
                for stream in ("stdout", "stderr")
            )
        assert status in (None, process.exitcode), output + errors
        return subprocess.CompletedProcess(
            words, process.exitcode, output, errors
        )

    def fresh(
        self, *args: str | Path, status: int = 0, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a new interpreter, with nothing loaded beforehand.

        Use this only where that is the point: it takes seconds. Models run.
        """
        trials = self.folder / "soundtags-trials.json"
        if not trials.exists():
            trials.write_bytes(_trials())
        done = subprocess.run(
            [sys.executable, "-m", "beets", *map(str, args)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
            **{"env": self.environment(), **options},
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def items(self, query: str = "") -> list[dict[str, Any]]:
        """Return items as they are in the database, not read through beets."""
        ids = {int(line) for line in self.ls("$id", query)} if query else None
        database = sqlite3.connect(self.folder / "library.db")
        database.row_factory = sqlite3.Row
        with contextlib.closing(database):
            rows = database.execute("SELECT * FROM items ORDER BY title")
            items = [
                dict(row) for row in rows if ids is None or row["id"] in ids
            ]
            for item in items:
                item.update(
                    database.execute(
                        "SELECT key, value FROM item_attributes"
                        " WHERE entity_id = ?",
                        (item["id"],),
                    ).fetchall()
                )
                # Files below the library's folder have relative paths.
                relative = os.fsdecode(item["path"])
                item["path"] = str(self.folder / "music" / relative)
        return [{key: _plain(key, item[key]) for key in item} for item in items]

    def know(self, word: str) -> None:
        """Write the file of a taught word that scores 0.5 for all tracks."""
        taught = TaughtWord(word, 10, None, 0.0, {})
        write_word(taught, self.folder / "soundtags-words")

    def ls(self, template: str, *query: str) -> list[str]:
        return self("ls", "-f", template, *query).stdout.splitlines()


@cache
def _trials() -> bytes:
    """Return the file that says whether TensorFlow loads here.

    Each new library would find that out again, which takes seconds.
    """
    # Not at the top, as each process that runs beet imports this module.
    from soundtags.inference import tensorflow_check as check
    from soundtags.inference.trial import crash_at_loading
    from soundtags.inference.verdict_file import save_reasons

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.json"
        found = {}
        if check.is_likely():
            found[check.processor()] = crash_at_loading()
        save_reasons(path, check.PART, check.identity(), found)
        return path.read_bytes()


def _serve(
    words: list[str],
    folder: Path,
    environment: dict[str, str],
    cwd: Path,
    models: bool,
) -> None:
    """Run beet in this process."""
    # Ctrl-C works even if the tests run in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    if paths := environment.get("PYTHONPATH"):
        sys.path[:0] = paths.split(os.pathsep)
        _forget("beetsplug", "soundtags")  # they may be found there
    os.chdir(cwd)
    sys.stdin = (folder / "stdin").open(encoding="utf-8")
    for descriptor, stream in enumerate(("stdout", "stderr"), start=1):
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND
        opened = os.open(folder / stream, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
        made = os.fdopen(descriptor, "w", encoding="utf-8", closefd=False)
        setattr(sys, stream, made)
    sys.argv = ["beet", *words]

    from beets import ui

    from beetsplug.soundtags import configuration

    from . import made_up

    if not models:
        made_up.install()
    # Models are tried in processes of their own, where TensorFlow takes
    # seconds to load.
    configuration.DEFAULTS["engine"] = "numpy"
    ui.main(words)


def _forget(*packages: str) -> None:
    """Have packages loaded again when they are next imported."""
    for name in [*sys.modules]:
        if name.partition(".")[0] in packages:
            del sys.modules[name]


def _plain(key: str, value: Any) -> Any:
    if key in ("mood", "soundtags", "genres"):
        return value.split(SEPARATOR) if value else []
    is_score = isinstance(value, str) and re.fullmatch(r"[01]\.\d+", value)
    return float(value) if is_score else value

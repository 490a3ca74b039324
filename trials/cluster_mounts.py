"""Analyse with two workers that share nothing but a mount with beets.

    python trials/cluster_mounts.py MUSIC

Each worker has a network of its own, with a link to the scheduler's, and mounts
of its own: the library's folder is /mnt, and no file has the path that it has
for beets. Library and cache must then have the same content as after a run
without a cluster, each score to the last digit, even if one of the workers is
killed during the run. Otherwise, the exit status is 1. Needs Linux and root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = {
    "plugins": ["soundtags"],
    "soundtags": {"auto": False},
    "import": {"copy": True, "write": True, "autotag": False, "quiet": True},
}
PORT = 18786
WORKERS = (1, 2)
ENTER = """
set -e
mount --make-rprivate /
mount --bind {music} /mnt
mount -t tmpfs none {library}
cd {folder}
exec {python} -m distributed.cli.dask_worker tcp://10.199.{number}.1:{port} \
    --host 10.199.{number}.2 --nthreads 1 --no-dashboard
"""


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@contextmanager
def network(number: int) -> Iterator[str]:
    """Create a network namespace with a link to ours; yield its name."""
    name, ours, theirs = (f"{kind}{number}" for kind in ("stags", "so", "st"))
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", ours, "type", "veth", "peer", theirs)
        run("ip", "link", "set", theirs, "netns", name)
        run("ip", "addr", "add", f"10.199.{number}.1/24", "dev", ours)
        run("ip", "link", "set", ours, "up")
        inside = ("ip", "-n", name)
        run(*inside, "addr", "add", f"10.199.{number}.2/24", "dev", theirs)
        run(*inside, "link", "set", theirs, "up")
        run(*inside, "link", "set", "lo", "up")
        yield name
    finally:
        run("ip", "netns", "del", name)


class Home:
    """beets, with a library of its own."""

    def __init__(self, folder: Path, music: Path) -> None:
        self.folder = folder
        self.library = folder / "library"
        self.library.mkdir(parents=True)
        self.configure()
        self.beet("import", "-A", str(music))

    def configure(self, **more: Any) -> None:
        config = {
            **CONFIG,
            "directory": str(self.library),
            "library": str(self.folder / "library.db"),
            "soundtags": {"auto": False, **more},
        }
        text = json.dumps(config)  # which is YAML, too
        (self.folder / "config.yaml").write_text(text)

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "beets", *args],
            env={**os.environ, "BEETSDIR": str(self.folder)},
        )

    def beet(self, *args: str) -> None:
        if self.start(*args).wait():
            sys.exit(f"beet {' '.join(args)}: failed")

    def content(self) -> tuple[set[Any], ...]:
        """Return all fields of the library, and all predictions."""
        queries = {
            "library.db": [
                (
                    "SELECT path, key, value FROM item_attributes"
                    " JOIN items ON items.id = entity_id"
                    " WHERE key NOT LIKE '%undo%'"
                ),
            ],
            "soundtags.db": ["SELECT * FROM inputs", "SELECT * FROM means"],
        }
        return tuple(
            set(rows(self.folder / file, query))
            for file, several in queries.items()
            for query in several
        )


def rows(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


@contextmanager
def started(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def worker_processes(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the children of a nanny, whose process began as `ip` and `sh`."""
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


def start_workers(
    stack: ExitStack, folder: Path, home: Home
) -> list[subprocess.Popen[bytes]]:
    """Start a scheduler, and workers with networks and mounts of their own."""
    python = sys.executable
    scheduler = (python, "-m", "distributed.cli.dask_scheduler")
    port = ("--port", str(PORT), "--no-dashboard")
    stack.enter_context(started(*scheduler, *port))
    workers = []
    for number in WORKERS:
        name = stack.enter_context(network(number))
        own = folder / name
        own.mkdir()
        script = ENTER.format(
            music=home.library,
            library=home.library,
            folder=own,
            python=python,
            number=number,
            port=PORT,
        )
        inside = ("ip", "netns", "exec", name, "unshare", "-m")
        process = started(*inside, "sh", "-c", script)
        workers.append(stack.enter_context(process))
    return workers


def run_and_kill(home: Home, worker: subprocess.Popen[bytes]) -> None:
    """Analyse all tracks; kill a worker meanwhile."""
    (home.folder / "soundtags.db").unlink()
    again = home.start("soundtags", "-qf")
    time.sleep(4)
    for victim in worker_processes(worker):
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    if again.wait():
        sys.exit("beet soundtags: failed")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    music = parser.parse_args().music.absolute()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        alone = Home(folder / "alone", music)
        alone.beet("soundtags", "-q")
        home = Home(folder / "home", music)
        workers = start_workers(stack, folder, home)
        home.configure(
            cluster=f"tcp://127.0.0.1:{PORT}",
            cluster_paths={str(home.library): "/mnt"},
        )
        home.beet("soundtags", "-q")
        faults = [differs("both workers", alone, home)]
        run_and_kill(home, workers[0])
        faults.append(differs("one of them killed", alone, home))
        shutil.rmtree(home.library)
    return int(any(faults))


def differs(when: str, alone: Home, home: Home) -> bool:
    expected, found = alone.content(), home.content()
    counts = ", ".join(str(len(each)) for each in found)
    same = expected == found
    print(f"{when}: {'the same' if same else 'DIFFERENT'} ({counts} values)")
    return not same


if __name__ == "__main__":
    sys.exit(main())

"""Fetch models with six programs at a time, and check what they leave.

    python trials/fetches.py [PATTERN]

A server on this machine has stand-ins for models of upstream whose digests are
not known beforehand. Afterwards, each model must be in the model folder with
the content that was served, and with its digest in SHA256SUMS; nothing half
fetched may be left; `beet soundmodels verify` must find nothing wrong. The
programs must have asked for each model once, and again only where the server
broke off or one of them was killed.
"""

from __future__ import annotations

import hashlib
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from import_home import Faults, Home

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from situations import go_through, parser
from support.standins import write_standin
from support.upstream import Page, Upstream

from soundtags.models import catalogue, checksums

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Iterator

PIECES, PAUSE = 20, 0.1  # of a transfer, and seconds between them
NAMES = [  # of models that need no others but embedded ones
    "deam-msd-musicnn-2",
    "genre_rosamerica-msd-musicnn-1",
    "muse-msd-musicnn-2",
    "tonal_atonal-msd-musicnn-1",
    "mood_party-musicnn-msd-2",
    "mood_sad-musicnn-msd-2",
]
SAME = NAMES[:1] * len(NAMES)


class Models:
    """Models that a server has."""

    def __init__(self, server: Upstream, folder: Path, names: set[str]) -> None:
        self.contents = {}
        self.server = server
        for seed, name in enumerate(sorted(names)):
            facts = catalogue.published()[name].metadata
            write_standin(
                folder / "served.pb",
                facts.algorithm,
                dict(facts.outputs),
                len(facts.classes),
                facts.backbone,
                facts.input,
                seed,
            )
            self.contents[name] = (folder / "served.pb").read_bytes()

    def serve(self, breaks: bool) -> None:
        """Serve the models slowly, so that other programs must wait."""
        for name, content in self.contents.items():
            slow = Page(content, piece=len(content) // PIECES, pause=PAUSE)
            half = Page(content, cut=len(content) // 2)
            path = catalogue.published()[name].files[0].path
            self.server.serve(path, *([half] if breaks else []), slow)


@contextmanager
def prepared(
    folder: Path, names: list[str], breaks: bool
) -> Iterator[tuple[Home, Models]]:
    """Set up a server, and beet that fetches from there."""
    with Upstream() as server:
        models = Models(server, folder, set(names))
        models.serve(breaks)
        home = Home(folder)
        home.configure(soundtags={"source": server.url, "auto": False})
        home.beet("ls")  # to make the library
        yield home, models


def fetch(
    folder: Path, names: list[str], breaks: bool = False, kills: bool = False
) -> Generator[str, None, str]:
    """Fetch models, each with a program of its own, at the same time."""
    with prepared(folder, names, breaks) as (home, models):
        runs = [home.start("soundmodels", "fetch", name) for name in names]
        killed = kill_first(home, models.server, runs) if kills else None
        for run in runs:
            output, errors = run.communicate()
            if run is not killed and (run.returncode or "Traceback" in errors):
                yield f"status {run.returncode}: {output} {errors}"
        yield from check(home, models)
        expected = len(models.contents) * (2 if breaks or kills else 1)
        requests = len(models.server.requests)
        if requests != expected:
            yield f"{requests} requests, not {expected}"
        return f"{len(models.contents)} fetched in {requests} requests"


def kill_first(
    home: Home, server: Upstream, runs: list[subprocess.Popen[str]]
) -> subprocess.Popen[str]:
    """Kill the program that is fetching, and return it."""
    while any(run.poll() is None for run in runs):
        for part in (home.folder / "soundtags-models").glob("*.part"):
            for run in runs:
                if server.requests and f".{run.pid}." in part.name:
                    run.kill()
                    return run
        time.sleep(0.01)
    raise RuntimeError("all have ended, and none could be killed")


def check(home: Home, models: Models) -> Faults:
    """Check the model folder."""
    folder = home.folder / "soundtags-models"
    recorded = checksums.recorded(folder)
    for name, content in models.contents.items():
        path = folder / f"{name}.pb"
        if not path.is_file() or path.read_bytes() != content:
            yield f"{path.name} is not what was served"
        digest = hashlib.sha256(content).hexdigest()
        if recorded.get(path.name) != digest:
            yield f"{path.name}: digest {recorded.get(path.name)}"
    files = {path.name for path in folder.iterdir()}
    others = {".lock", checksums.FILE}
    if extra := files - others - {f"{name}.pb" for name in models.contents}:
        yield f"left over: {sorted(extra)}"
    verified = set(home.beet("soundmodels", "verify").splitlines())
    if verified != {f"{name}.pb: ok" for name in models.contents}:
        yield f"verify: {sorted(verified)}"


SITUATIONS = {
    "six of one model": partial(fetch, names=SAME),
    "six of six models": partial(fetch, names=NAMES),
    "six of one model, and the server breaks off": partial(
        fetch, names=SAME, breaks=True
    ),
    "six of one model, and the first is killed": partial(
        fetch, names=SAME, kills=True
    ),
}


def main() -> None:
    go_through(SITUATIONS, parser(__doc__).parse_args().pattern)


if __name__ == "__main__":
    main()

"""Tag music that others own, and a library that others use.

    python trials/sharing.py [PATTERN] [--timeout 5]

Files of another user in a shared group, and files in a mount without chmod or
chown: they must be tagged and keep owner, group and permissions, or be left
alone, each with a reason. A library that another program has locked or is in
the middle of reading, for a while and for ever, and two runs at a time: nothing
must be lost, and another run must complete what is left.

The first kind needs root and setpriv, the second root and bindfs. The other
program keeps the library for one and a half times --timeout seconds, which is
the option of beets, or until the run gives up, after twelve times --timeout.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from import_home import Home, agree, read_tag, wait_for_writing
from kills import state
from situations import Situation, Skipped, go_through, parser

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

OWNER, USER, GROUP = 10001, 10002, 10003  # ids that nobody has
LOCKS = {
    "has locked the library": ["BEGIN EXCLUSIVE"],
    "is reading the library": ["BEGIN", "SELECT * FROM items"],
}
# What a run may end with while another program has the library.
LOCKED = "the library is locked by another program"
# Who tags files of whom, with which permissions; folders are the group's.
OWNERS = {
    "files of another user in a shared group": (USER, OWNER, GROUP, 0o664),
    "own files in a shared group": (USER, USER, GROUP, 0o660),
    "files of another user that cannot be written": (USER, OWNER, GROUP, 0o644),
    "files of another user, as root": (0, OWNER, GROUP, 0o640),
}
MOUNTS = {  # and the options of bindfs
    "a mount without chmod and chown": ["--chmod-deny", "--chown-deny"],
    "a mount with the same permissions for all files, like vfat": [
        *("--chmod-ignore", "--chown-ignore", "--perms=u=rwD,go=rD"),
    ],
}


def prepare(folder: Path, timeout: float = 5.0) -> Home:
    """Return a library of tracks that have never been analysed."""
    home = Home(folder)
    ours = {"patches": 1, "jobs": 1, "auto": False}
    home.configure(soundtags=ours, timeout=timeout)
    home.beet("import", str(home.source))
    return home


def need(*programs: str) -> None:
    """Skip a situation that needs root and programs, unless all are here."""
    if os.geteuid():
        raise Skipped("needs root")
    for program in programs:
        if shutil.which(program) is None:
            raise Skipped(f"needs {program}")


def owned(
    folder: Path, whose: tuple[int, int, int, int]
) -> Generator[str, None, str]:
    """Have a user tag files of an owner."""
    need("setpriv")
    user, owner, group, mode = whose
    home = prepare(folder)
    for each in [folder, *folder.rglob("*")]:
        os.chown(each, user, user)
    folder.chmod(0o711)
    for each in [home.music, *home.music.rglob("*")]:
        os.chown(each, owner, group)
        each.chmod(0o2775 if each.is_dir() else mode)
    return (yield from tag(home, as_user(user, group) if user else []))


def as_user(user: int, group: int) -> list[str]:
    """Return the beginning of a command that runs as another user."""
    # Python may be where only root can read, so let them read everything.
    right = "+dac_read_search"
    return [
        *("setpriv", f"--reuid={user}", f"--regid={user}"),
        *(f"--groups={group}", f"--inh-caps={right}"),
        f"--ambient-caps={right}",
    ]


def mounted(folder: Path, options: list[str]) -> Generator[str, None, str]:
    """Tag files in a mount of their folder."""
    need("bindfs")
    below = folder / "below"
    below.mkdir()
    home = Home(folder)
    subprocess.run(["bindfs", *options, below, home.music], check=True)
    try:
        home.configure(soundtags={"patches": 1, "jobs": 1, "auto": False})
        home.beet("import", str(home.source))
        return (yield from tag(home, []))
    finally:
        subprocess.run(["umount", home.music], check=True)


def tag(home: Home, prefix: list[str]) -> Generator[str, None, str]:
    """Tag files; each must keep its owner, or be left alone with a reason."""
    before = {item["path"]: access(item["path"]) for item in home.items()}
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "beets", "soundtags"],
        env={
            **os.environ,
            "BEETSDIR": str(home.folder),
            "HOME": str(home.folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if "Traceback" in done.stderr:
        yield done.stderr
    reasons = set()
    for item in home.items():
        path = item["path"]
        if access(path) != before[path]:
            yield f"{path.name}: {before[path]}, now {access(path)}"
        if state(path) != home.known[item["title"]]:
            yield f"{path.name} is not what it was"
        _, named, reason = done.stderr.partition(f"{path.name}: ")
        if ("danceability" in item) != bool(read_tag(path, "danceability")):
            yield f"{path.name}: library and file differ"
        if ("danceability" in item) == bool(named):
            yield f"{path.name}: {reason or 'not tagged, without a reason'}"
        reasons |= {reason.splitlines()[0]} if named else {"tagged"}
    for left in home.music.rglob(".soundtags-*"):
        yield f"left over: {left.name}"
    return "; ".join(sorted(reasons))


def access(path: Path) -> tuple[int, int, str]:
    found = path.stat()
    return found.st_uid, found.st_gid, oct(found.st_mode)


@contextmanager
def in_use(home: Home, statements: list[str]) -> Iterator[None]:
    """Keep a transaction of another program open in the library."""
    file = home.folder / "library.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement).fetchone()
        yield


def busy(
    statements: list[str], timeout: float, ends: bool, folder: Path
) -> Generator[str, None, str]:
    """Use the library as soon as the first track is about to be written."""
    home = prepare(folder, timeout)
    process = home.start("soundtags")
    wait_for_writing(home, process)
    with in_use(home, statements):
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout * (1.5 if ends else 60))
            if ends:
                yield "the run has not waited"
        if not ends and process.poll() is None:
            yield "the run has not ended"
            process.kill()
    output, errors = process.communicate()
    if process.returncode != (0 if ends else 1) or "Traceback" in errors:
        yield f"status {process.returncode}: {errors}"
    if not ends and LOCKED not in errors:
        yield f"no word of the lock: {errors}"
    home.beet("soundtags")
    yield from agree(home)
    return (errors or output).strip().splitlines()[-1]


def two_runs(folder: Path) -> Generator[str, None, str]:
    """Have two programs tag the same tracks."""
    home = prepare(folder)
    runs = [home.start("soundtags") for _ in range(2)]
    seen = []
    for run in runs:
        output, errors = run.communicate()
        if "Traceback" in errors or run.returncode not in (0, 1):
            yield f"status {run.returncode}: {errors}"
        seen += re.findall(r"^\d+ tagged.*failed", output, re.MULTILINE)
    if all(run.returncode for run in runs):
        yield "both have failed"
    home.beet("soundtags")
    yield from agree(home)
    return " / ".join(seen)


def situations(timeout: float) -> Iterator[tuple[str, Situation]]:
    for name, whose in OWNERS.items():
        yield name, partial(owned, whose=whose)
    for name, options in MOUNTS.items():
        yield name, partial(mounted, options=options)
    for name, statements in LOCKS.items():
        for ends, how_long in ((True, "for a while"), (False, "for ever")):
            label = f"a program {name}, {how_long}"
            yield label, partial(busy, statements, timeout, ends)
    yield "two runs at a time", two_runs


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--timeout", type=float, default=5.0)
    options = arguments.parse_args()
    go_through(dict(situations(options.timeout)), options.pattern)


if __name__ == "__main__":
    main()

"""Install built wheels in every way that the documentation names, and use them.

Each way begins in an empty folder and ends with an import, a query, a report
and playlists. Without --way, all are tried::

    python trials/installs.py ~/music
    python trials/installs.py ~/music --way pip-lite --way uv

Needs a package index, and uv and pipx on the path for the ways of that name.
Prints a line per way: how long the installation took, its size on disk, how
long the import took, how many tracks are relaxed, and how many playlists there
are. Ends with exit status 1 if one of them failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
FULL, LITE = "beets-soundtags", "beets-soundtags-lite"
PYTHON = sys.executable
BIN = "Scripts" if os.name == "nt" else "bin"
# By tool: what is typed, and where beet is afterwards. PACKAGE stands for the
# wheel. All tools keep to the folder that they are called in.
TOOLS = {
    "pip": (
        [
            [PYTHON, "-m", "venv", "env"],
            [f"env/{BIN}/pip", "install", "--quiet", "PACKAGE"],
        ],
        f"env/{BIN}/beet",
    ),
    "uv": (
        [
            ["uv", "tool", "install", "--quiet", "--python", PYTHON]
            + ["--with", "PACKAGE", "beets"]
        ],
        "bin/beet",
    ),
    "pipx": (
        [
            ["pipx", "install", "--quiet", "beets"],
            ["pipx", "inject", "--quiet", "beets", "PACKAGE"],
        ],
        "bin/beet",
    ),
}
WAYS = {
    f"{tool}{suffix}": (tool, package)
    for suffix, package in [("", FULL), ("-lite", LITE)]
    for tool in TOOLS
}
CONFIG = """\
directory: {folder}/Music
library: {folder}/library.db
plugins: soundtags
"""


def build(package: str, folder: Path) -> Path:
    """Build one of the distributions from this checkout; return its wheel."""
    with tempfile.TemporaryDirectory() as temporary:
        # In a copy, as setuptools leaves files behind.
        ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
        source = shutil.copytree(HERE, Path(temporary, "src"), ignore=ignored)
        subprocess.run(
            [PYTHON, "-m", "pip", "wheel", "--no-deps", "-q"]
            + ["-w", str(folder), str(source)],
            env={**os.environ, "SOUNDTAGS_DISTRIBUTION": package},
            check=True,
        )
    (wheel,) = folder.glob(f"{package.replace('-', '_')}-0*.whl")
    return wheel


def size(folder: Path) -> int:
    """Return the size of the files in a folder, in bytes."""
    files = [each.lstat() for each in folder.rglob("*")]
    return sum({each.st_ino: each.st_size for each in files}.values())


def run(words: list[str], folder: Path) -> tuple[str, float]:
    """Run a command in a folder; return what it printed, and its seconds."""
    tools = {
        "UV_TOOL_DIR": "tools",
        "UV_TOOL_BIN_DIR": "bin",
        "PIPX_HOME": "tools",
        "PIPX_BIN_DIR": "bin",
        "BEETSDIR": "beets",
    }
    environment = {k: str(folder / v) for k, v in tools.items()}
    outer = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    started = time.perf_counter()
    done = subprocess.run(
        words,
        cwd=folder,
        env={**outer, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout, time.perf_counter() - started


def take(tool: str, wheel: Path, music: Path, folder: Path) -> str:
    """Install a wheel and use it; return how long that took, in one line."""
    commands, beet = TOOLS[tool]
    seconds = 0.0
    for words in commands:
        typed = [str(wheel) if each == "PACKAGE" else each for each in words]
        seconds += run(typed, folder)[1]
    installed = size(folder)
    (folder / "beets").mkdir()
    config = CONFIG.format(folder=folder.as_posix())
    (folder / "beets" / "config.yaml").write_text(config)
    call = [str(folder / beet)]
    assert "soundtags" in run([*call, "version"], folder)[0]
    _, imported = run([*call, "import", "-qA", str(music)], folder)
    relaxed, _ = run([*call, "ls", "mood:relaxed"], folder)
    run([*call, "soundreport", "-o", "report.html"], folder)
    assert (folder / "report.html").exists()
    run([*call, "soundlists", "-o", "lists"], folder)
    lists = [*(folder / "lists").glob("*.m3u8")]
    return (
        f"installed in {seconds:5.1f} s, {installed / 1e6:5.0f} MB;"
        f" imported in {imported:5.1f} s,"
        f" {len(relaxed.splitlines())} relaxed, {len(lists)} playlists"
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("music", type=Path)
    parser.add_argument("--way", action="append", choices=WAYS)
    given = parser.parse_args()
    music = given.music.resolve()
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        wheels = {each: build(each, Path(temporary)) for each in (FULL, LITE)}
        for way in given.way or WAYS:
            tool, package = WAYS[way]
            folder = Path(temporary, way)
            folder.mkdir()
            try:
                line = take(tool, wheels[package], music, folder)
            except (OSError, subprocess.CalledProcessError) as exc:
                failed, line = True, f"failed: {exc}"
            print(f"{way:10} {line}", flush=True)
            shutil.rmtree(folder)
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""Resolve both distributions from wheels alone, for platforms of all kinds.

Users there install nothing but wheels, as they have no compiler::

    python trials/wheels.py
    python trials/wheels.py --python 3.14 --platform x86_64-unknown-linux-musl

Needs uv on the path, and a package index. Prints a line per distribution,
platform and version of Python, with the size of all wheels, or with what cannot
be had. Ends with exit status 1 if the lite distribution cannot be installed
somewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from unittest import mock

SETUP = Path(__file__).parent.parent / "setup.py"
LITE = "beets-soundtags-lite"
# By uv's names. A wheel for macOS may need a version newer than uv assumes.
PLATFORMS = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
]
PYTHONS = ["3.12", "3.14"]
MACOS = "14.0"
SIZE = re.compile(r"\bsize = (\d+)")


def requirements() -> dict[str, list[str]]:
    """Return what each distribution depends on, by name."""
    # What setup.py does with them does not matter here.
    with mock.patch.dict(sys.modules, {"setuptools": mock.MagicMock()}):
        table: dict[str, list[str]] = runpy.run_path(str(SETUP))["REQUIREMENTS"]
    return table


def resolve(needed: list[str], platform: str, python: str) -> tuple[bool, str]:
    """Return whether requirements can be met, and their size or the reason."""
    done = subprocess.run(
        [
            *("uv", "pip", "compile", "--quiet", "--only-binary", ":all:"),
            *("--python-platform", platform, "--python-version", python),
            *("--format", "pylock.toml", "-"),
        ],
        input="\n".join(needed),
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": MACOS},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = [" ".join(done.stderr.split())]
        return False, lines[0][:200]
    sizes = [int(size) for size in SIZE.findall(done.stdout)]
    return True, f"{len(sizes):3} wheels, {sum(sizes) / 1e6:6.0f} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platform", action="append", choices=PLATFORMS)
    parser.add_argument("--python", action="append", metavar="VERSION")
    options = parser.parse_args()
    missing = 0
    for name, needed in requirements().items():
        for platform in options.platform or PLATFORMS:
            for python in options.python or PYTHONS:
                found, text = resolve(needed, platform, python)
                missing += not found and name == LITE
                print(
                    f"{name:20}  {platform:26}  {python:5}"
                    f"  {'yes' if found else 'no '}  {text}",
                    flush=True,
                )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())

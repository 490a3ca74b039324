"""Situations that a trial goes through, with a line about each."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

# Given an empty folder, yields what is wrong and returns what was seen.
Situation = Callable[[Path], Generator[str, None, str]]


class Skipped(Exception):
    """Raised where a situation cannot be brought about, with the reason."""


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with an argument that selects situations."""
    made = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "pattern",
        nargs="?",
        default="",
        help="regular expression for names of situations",
    )
    return made


def go_through(situations: Mapping[str, Situation], pattern: str) -> None:
    """Go through situations that match; exit with 1 if any is wrong."""
    chosen = [name for name in situations if re.search(pattern, name)]
    if not chosen:
        sys.exit(f"no situation matches {pattern}")
    wrong = 0
    for name in chosen:
        faults: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                seen = _go(situations[name](Path(folder)), faults)
            except Skipped as exc:
                seen = f"skipped: {exc}"
            except (OSError, RuntimeError, KeyError, ValueError) as exc:
                faults.append(repr(exc))
        line = f"WRONG: {'; '.join(faults)}" if faults else seen
        print(f"{name}: {line}", flush=True)
        wrong += bool(faults)
    print(f"{len(chosen)} situations, {wrong} wrong")
    sys.exit(bool(wrong))


def _go(situation: Generator[str, None, str], faults: list[str]) -> str:
    while True:
        try:
            faults.append(next(situation))
        except StopIteration as exc:
            return str(exc.value)

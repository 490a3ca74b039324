"""What a contender of rivals.py is, and the arena where they take turns.

Nothing large may be imported here: on Linux, a process starts with the peak
memory of the one that starts it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

HERE = Path(__file__).resolve().parent
LOGGED = 15  # last lines of the log of a failed child

Answer = dict[str, Any]
Answers = dict[str, list[Answer]]  # by key of contender, one per round


@dataclass(frozen=True)
class Contender:
    """A program, and the task it gets.

    Attributes
    ----------
    name
        Its name in the tables.
    script
        The script that the child runs, beside this file.
    python
        The interpreter.
    task, options
        What it is asked to do.
    environment
        Variables to set for the child.
    """

    name: str
    script: str
    python: str
    task: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class Child:
    """A contender at work, until its `with` block ends."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender

    def __enter__(self) -> Child:
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            [self.contender.python, str(HERE / self.contender.script)],
            env={
                **os.environ,
                "TF_CPP_MIN_LOG_LEVEL": "3",
                **self.contender.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BrokenPipeError):  # it may be dead
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._log.close()

    def ask(self, files: Iterable[Path] = ()) -> Answer:
        """Have the contender work through files.

        Raises
        ------
        RuntimeError
            If it failed, with the end of its log.
        """
        request = {
            "task": self.contender.task,
            "options": self.contender.options,
            "files": [str(file) for file in files],
        }
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": self._death()}
        if "error" in answer:
            raise RuntimeError(f"{answer['error']}\n{self._log_end()}")
        return answer

    def _death(self) -> str:
        return f"ended with status {self._process.wait()}"

    def _log_end(self) -> str:
        self._log.seek(0)
        lines = self._log.read().splitlines()[-LOGGED:]
        return "".join(f"  | {line}\n" for line in lines)


class Arena:
    """Contenders that take turns; one that fails is out.

    Parameters
    ----------
    contenders
        Key to contender.
    warmup
        Files for a first turn that is not counted, as it takes longer.
    """

    def __init__(
        self, contenders: Mapping[str, Contender], warmup: list[Path]
    ) -> None:
        self.failed: list[str] = []
        self._contenders = contenders
        self._warmup = warmup
        self._stack = ExitStack()
        self._children: dict[str, Child] = {}

    def __enter__(self) -> Arena:
        for key, contender in self._contenders.items():
            tell(f"starting: {contender.name}")
            try:
                child = self._stack.enter_context(Child(contender))
            except OSError as exc:
                self._drop(key, exc)
            else:
                self._children[key] = child
        for key in list(self._children):
            self.turn(key, self._warmup)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def round(self, files: list[Path], answers: Answers) -> None:
        """Let all work through files, and add their answers."""
        for key in list(self._children):
            answer = self.turn(key, files)
            if answer is not None:
                answers.setdefault(key, []).append(answer)
                tell(f"  {self._contenders[key].name}: {brief(answer)}")

    def turn(self, key: str, files: Iterable[Path] = ()) -> Answer | None:
        """Let one work; return its answer, or None if it is out."""
        if key not in self._children:
            return None
        try:
            return self._children[key].ask(files)
        except (RuntimeError, OSError, ValueError) as exc:
            self._drop(key, exc)
            return None

    def _drop(self, key: str, exc: Exception) -> None:
        tell(f"{self._contenders[key].name} FAILED: {exc}")
        self.failed.append(key)
        self._children.pop(key, None)


def whole_run(contender: Contender, files: Iterable[Path]) -> float:
    """Return the seconds from starting a program until all its answers.

    Raises
    ------
    RuntimeError
        If it failed, with the end of its log.
    """
    started = time.monotonic()
    with Child(contender) as child:
        child.ask(files)
        return time.monotonic() - started


def tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def brief(answer: Answer) -> str:
    return f"{answer['seconds']:.1f} s, {answer['cpu']:.1f} s of CPU"

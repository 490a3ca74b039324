"""Scripts outside the package, run as from a command line, but without delay.

A script runs in a fork of the server that :mod:`support.beet` describes. So
does each ``python -m beets`` that it starts, where predictions are made up.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from .beet import FORKS, PRELOADED, TIMEOUT
from .paths import ROOT

_context = multiprocessing.get_context("forkserver" if FORKS else "spawn")
if FORKS:
    _context.set_forkserver_preload(PRELOADED)


def run_script(
    script: str,
    *args: str | Path,
    stdin: str = "",
    status: int = 0,
    environment: dict[str, str] | None = None,
) -> str:
    """Run a script of the checkout, check its exit status, return its output.

    Parameters
    ----------
    script
        Its path in the checkout.
    args
        Its arguments.
    stdin
        What it reads from standard input.
    status
        The exit status that is expected.
    environment
        Environment variables to set.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(stdin)
        words = [str(ROOT / script), *map(str, args)]
        process = _context.Process(
            target=_run, args=(words, folder, environment or {})
        )
        process.start()
        process.join(TIMEOUT)
        if process.is_alive():
            process.kill()
            process.join()
        output, errors = (
            (folder / each).read_text("utf-8", "replace")
            for each in ("stdout", "stderr")
        )
    assert process.exitcode == status, output + errors
    return output


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    for number, (stream, flags) in enumerate(
        {
            "stdin": os.O_RDONLY,
            "stdout": os.O_CREAT | os.O_WRONLY,
            "stderr": os.O_CREAT | os.O_WRONLY,
        }.items()
    ):
        os.dup2(os.open(folder / stream, flags), number)
    _open_streams()
    subprocess.Popen = ForkingPopen
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent))
    runpy.run_path(words[0], run_name="__main__")


def _open_streams() -> None:
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


class ForkingPopen(subprocess.Popen):
    """Has ``python -m beets`` be a fork of this process, if it can."""

    def _execute_child(self, args: Any, *rest: Any) -> None:
        words = list(args) if isinstance(args, (list, tuple)) else [args]
        if not FORKS or words[:3] != [sys.executable, "-m", "beets"]:
            super()._execute_child(args, *rest)
            return
        environment, pipes = rest[5], rest[9:15]
        self.pid = os.fork()
        if not self.pid:
            _be_beet(words[3:], environment, pipes)
        self._child_created = True
        self._close_pipe_fds(*pipes)


def _be_beet(
    words: list[str], environment: dict[str, str] | None, pipes: Any
) -> None:
    status = 1
    try:
        stdin, stdout, stderr = pipes[0], pipes[3], pipes[5]
        for descriptor in (pipes[1], pipes[2], pipes[4]):
            if descriptor != -1:
                os.close(descriptor)
        for number, descriptor in enumerate((stdin, stdout, stderr)):
            if descriptor != -1:
                os.dup2(descriptor, number)
        _open_streams()
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        sys.argv = ["beet", *words]

        from beets import ui

        from . import made_up

        made_up.install()
        ui.main(words)
        status = 0
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else int(bool(exc.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

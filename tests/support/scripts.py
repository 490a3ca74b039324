"""Scripts outside the package, run as from a command line, but without delay.

Most scripts run models, and TensorFlow takes seconds to load. So one process
loads it once, and each script is a fork of that. So are the Python programs
that a script starts: other scripts, and `python -m beets`, which makes
predictions up unless models are wanted. Work that a script does in processes of
its own, for the sake of their memory, is done in threads.
"""

from __future__ import annotations

import concurrent.futures
import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .beet import TIMEOUT
from .paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection


def run_script(
    script: str,
    *args: str | Path,
    stdin: str = "",
    models: bool = False,
    decoders: bool = False,
) -> str:
    """Run a script of the checkout, check that it succeeds, return its output.

    Parameters
    ----------
    script, args
        Its path in the checkout, and its arguments.
    stdin
        What it reads from standard input.
    models
        Whether beet runs models, instead of making predictions up.
    decoders
        Whether beet decodes files in processes of their own, even if it runs
        no models.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stdin").write_text(stdin)
        words = [str(ROOT / script), *map(str, args)]
        server = _server()
        server.send((words, folder, models, decoders))
        status = server.recv()
        output, errors = (
            (folder / each).read_text("utf-8", "replace")
            for each in ("stdout", "stderr")
        )
    assert status == 0, output + errors
    return output


@cache
def _server() -> Connection:
    """Start the process that scripts are forked from."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    context.Process(target=_serve, args=(theirs,), daemon=True).start()
    theirs.close()
    return ours


def _serve(connection: Connection) -> None:
    """Run scripts, one after the other."""
    multiprocessing.current_process().daemon = False  # scripts have children
    with suppress(ImportError):  # without it, scripts that need it will say so
        importlib.import_module("tensorflow")
    with suppress(EOFError):
        while True:
            words, folder, models, decoders = connection.recv()
            pid = os.fork()
            if not pid:
                _fork(partial(_run, words, folder, models, decoders))
            _, status = os.waitpid(pid, 0)
            connection.send(os.waitstatus_to_exitcode(status))


def _run(words: list[str], folder: Path, models: bool, decoders: bool) -> None:
    signal.alarm(TIMEOUT)
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
    ForkingPopen.models, ForkingPopen.decoders = models, decoders
    concurrent.futures.ProcessPoolExecutor = InThreads
    _be_script(words)


def _open_streams() -> None:
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _be_script(words: list[str]) -> None:
    sys.argv = words
    sys.path.insert(0, str(Path(words[0]).parent))
    runpy.run_path(words[0], run_name="__main__")


def _be_beet(words: list[str], models: bool, decoders: bool) -> None:
    sys.argv = ["beet", *words]

    from beets import config, ui
    from beets.util import cached_classproperty

    from . import made_up

    # The script may have used beets with another configuration.
    config.clear()
    cached_classproperty.cache.clear()
    if not models:
        made_up.install(decoders)
    ui.main(words)


class InThreads(concurrent.futures.ThreadPoolExecutor):
    """Stands in for an executor with processes."""

    def __init__(
        self, max_workers: int | None = None, _context: object = None
    ) -> None:
        super().__init__(max_workers)


class ForkingPopen(subprocess.Popen):
    """Runs Python programs as forks of this process, if it can."""

    models = decoders = False

    def _execute_child(self, args: Any, *rest: Any) -> None:
        words = list(args) if isinstance(args, (list, tuple)) else [args]
        if words[:3] == [sys.executable, "-m", "beets"]:
            be = partial(_be_beet, words[3:], self.models, self.decoders)
        elif words[0] == sys.executable and words[1][-3:] == ".py":
            be = partial(_be_script, words[1:])
        else:
            super()._execute_child(args, *rest)
            return
        cwd, environment, pipes = rest[4], rest[5], rest[9:15]
        self.pid = os.fork()
        if not self.pid:
            _fork(partial(_with_pipes, be, cwd, environment, pipes))
        self._child_created = True
        self._close_pipe_fds(*pipes)


def _with_pipes(
    program: Callable[[], None],
    cwd: str | Path | None,
    environment: dict[str, str] | None,
    pipes: Any,
) -> None:
    """Run a program with the streams that Popen has made."""
    if cwd is not None:
        os.chdir(cwd)
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
    program()


def _fork(program: Callable[[], None]) -> NoReturn:
    """Run a program in a process that was just forked, and end it."""
    status = 1
    try:
        program()
        status = 0
    except SystemExit as exc:
        if isinstance(exc.code, str):
            sys.stderr.write(f"{exc.code}\n")
        status = exc.code if isinstance(exc.code, int) else bool(exc.code)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

"""What children of rivals.py share: requests in, answers out.

Runs in every contender's environment, so it needs nothing but Python.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    # Takes files, returns facts to add to the answer.
    Work = Callable[[list[str]], dict[str, Any]]
    Prepare = Callable[..., Work]


def serve(tasks: dict[str, Prepare]) -> None:
    """Answer requests, one a line, until there are no more.

    Parameters
    ----------
    tasks
        Name of a task to the function that prepares it, called with the
        options of the first request. Only the function that it returns is
        timed.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to standard output
    prepared: dict[str, Work] = {}
    for line in sys.stdin:
        request = json.loads(line)
        task = request["task"]
        try:
            if task not in prepared:
                prepared[task] = tasks[task](**request["options"])
            answer = measured(prepared[task], request["files"])
        except Exception as exc:
            traceback.print_exc()
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        print(json.dumps(answer), file=answers, flush=True)


def measured(work: Work, files: list[str]) -> dict[str, Any]:
    """Do some work; return its cost, and the facts it returns."""
    started, spent = time.perf_counter(), time.process_time()
    facts = work(files)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - spent,
        "peak": peak(),
        **facts,
    }


def peak() -> float:
    """Return the peak memory of this process in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KB, macOS in bytes.
    return most * (1 if sys.platform == "darwin" else 1024) / 1e6

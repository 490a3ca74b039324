"""VibeNet as its beets plugin runs it; a child of rivals.py."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from rival_child import serve
from vibenet import load_model
from vibenet.core import load_audio

if TYPE_CHECKING:
    from collections.abc import Callable

RATE = 16000  # Hz


def seven() -> Callable[[list[str]], dict[str, Any]]:
    """Compute VibeNet's seven numbers: a thread per core, a file in each."""
    model = load_model()

    def one(file: str) -> list[float]:
        (result,) = model.predict([load_audio(file, RATE)], RATE)
        return list(result.to_dict().values())

    def work(files: list[str]) -> dict[str, Any]:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            return {"scores": list(threads.map(one, files))}

    return work


if __name__ == "__main__":
    serve({"seven": seven})

"""The processor that figures are measured on, and what it can do."""

from __future__ import annotations

import os
import platform
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SETS = ("AVX", "AVX2", "FMA3", "AVX512F", "NEON", "SVE")  # as NumPy names them
CPU_INFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return what the processor calls itself."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(": ")[2]
    return platform.processor() or platform.machine()


def instruction_sets() -> list[str]:
    """Return the instruction sets in SETS that the processor has."""
    numpy = import_module("numpy._core._multiarray_umath")
    found = numpy.__cpu_features__
    return [name for name in SETS if found.get(name)]


def describe(variables: Mapping[str, str] = os.environ) -> str:
    """Return a line about the processor, to go above a table.

    Parameters
    ----------
    variables
        The environment of what is measured, which may limit it.
    """
    sets = ", ".join(instruction_sets()) or "none of them"
    limit = variables.get("ONEDNN_MAX_CPU_ISA")
    limited = f"; oneDNN limited to {limit}" if limit else ""
    cores = os.cpu_count()
    return f"{processor_name()}, {cores} cores; {sets}{limited}"

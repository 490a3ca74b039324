"""Folders that tests use."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).resolve().parent
ROOT = SUPPORT.parents[1]
SHARED = ROOT.parent / "shared"
PLUGINS = SUPPORT / "plugins" / "beetsplug"

"""Types that modules of all layers share."""

from __future__ import annotations

Path = bytes | str  # of a file, as the operating system takes it

"""Hides Matplotlib, as if it were not installed."""

import sys

from beets.plugins import BeetsPlugin


class UnplottedPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        sys.modules["matplotlib"] = None

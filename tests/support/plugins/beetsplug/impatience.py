"""Makes `time.sleep` return at once."""

import time

from beets.plugins import BeetsPlugin


class ImpatiencePlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        time.sleep = lambda _seconds: None

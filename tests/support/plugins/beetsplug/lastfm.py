"""Makes the plugin lastgenre get polka from Last.fm for everything."""

from beets.plugins import BeetsPlugin
from beetsplug.lastgenre.client import LastFmClient


class LastfmPlugin(BeetsPlugin):
    def __init__(self):
        super().__init__()
        LastFmClient.fetch_genres = lambda *_: ["polka"]

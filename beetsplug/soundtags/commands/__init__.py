"""The commands: their options, and the modules that carry them out."""

from __future__ import annotations

from importlib import import_module
from optparse import Option
from typing import Any, NamedTuple


class Command(NamedTuple):
    """A beets command.

    Attributes
    ----------
    name : str
        Name of the command, and of the module in this package with its code.
    help : str
        What it does, for the list of commands.
    usage : str
        Its arguments.
    options : tuple of optparse.Option
        Its options.
    description : str
        Further help.
    """

    name: str
    help: str
    usage: str
    options: tuple[Option, ...]
    description: str = ""

    def run(self, *args: Any) -> None:
        """Import the command's module and call its ``run``."""
        import_module(f".{self.name}", __name__).run(*args)


def _flag(*names: str, **settings: Any) -> Option:
    """Return an option without a value."""
    return Option(*names, **{"action": "store_true", **settings})


SOUNDTAGS = Command(
    "soundtags",
    "tag music with genre, mood, danceability and voice",
    "[options] [QUERY]",
    (
        _flag("-p", "--pretend", help="show all changes, but make none"),
        _flag(
            "-f",
            "--force",
            help="analyse tracks that are up to date, too, and overwrite"
            " values that you have set yourself",
        ),
        _flag("-w", "--write", help="write tags to files"),
        _flag(
            "-W",
            "--nowrite",
            dest="write",
            action="store_false",
            help="do not write tags to files",
        ),
        _flag("-q", "--quiet", help="print errors only"),
        _flag("-v", "--verbose", help="print the predictions of each model"),
        Option(
            "-j",
            "--jobs",
            type="int",
            metavar="N",
            help="number of worker threads",
        ),
        Option(
            "--cluster",
            metavar="ADDRESS",
            help="run the models on a Dask cluster: the address of its"
            " scheduler, or its scheduler file",
        ),
        Option(
            "-m",
            "--model",
            dest="models",
            action="append",
            metavar="ID",
            help="run this model instead of the configured ones (repeatable)",
        ),
        _flag(
            "--stats",
            help="show the distribution of scores, moods and genres instead of"
            " analysing",
        ),
        _flag(
            "--undo",
            help="restore the values from before the last change instead of"
            " analysing",
        ),
    ),
)
SOUNDMODELS = Command(
    "soundmodels",
    "list, fetch, verify and remove models for soundtags",
    "[list | info ID | fetch ID|GROUP... | verify | remove ID...]",
    (
        _flag("-i", "--installed", help="list installed models only"),
        _flag("--json", help="list all details, as JSON"),
        _flag(
            "--insecure",
            help="allow plain HTTP, over which a model can be tampered with",
        ),
    ),
    "Groups are: heads, announcement, a target such as mood_happy, or a"
    " family such as musicnn-msd.",
)
SOUNDFEATURES = Command(
    "soundfeatures",
    "export latent features of music",
    "-o FILE [options] [QUERY]",
    (
        Option("-o", "--output", metavar="FILE", help="the .npz file to write"),
        Option(
            "-m",
            "--model",
            metavar="ID",
            default="msd-musicnn-1",
            help="the model to run (default: %default)",
        ),
        Option(
            "-l",
            "--layer",
            metavar="NODE",
            help="the layer, named as in `soundmodels info` (default: the"
            " embedding)",
        ),
        _flag("--mean", help="export the mean of each track, not every patch"),
    ),
)
SOUNDSTORE = Command(
    "soundstore",
    "show, prune and export cached predictions",
    "[stats | prune | export -o FILE [QUERY]]",
    (
        Option(
            "-o",
            "--output",
            metavar="FILE",
            help="the .csv or .parquet file to write",
        ),
    ),
)
SOUNDLIKE = Command(
    "soundlike",
    "list the tracks that sound most like others",
    "[options] QUERY | --path FROM TO",
    (
        Option(
            "-n",
            "--number",
            type="int",
            metavar="N",
            default=10,
            help="how many to list (default: %default)",
        ),
        Option(
            "-f", "--format", metavar="FORMAT", help="print with this format"
        ),
        Option(
            "-p",
            "--paths",
            dest="format",
            action="store_const",
            const="$path",
            help="print paths",
        ),
        _flag(
            "--diverse",
            help="list one track of each artist and album, and none of those"
            " of QUERY",
        ),
        Option(
            "--path",
            dest="ends",
            nargs=2,
            metavar="FROM TO",
            help="list tracks that lead from one to another in small steps",
        ),
        Option(
            "-m",
            "--model",
            metavar="ID",
            default="msd-musicnn-1",
            help="compare the embeddings of this model (default: %default)",
        ),
    ),
)
SOUNDLISTS = Command(
    "soundlists",
    "make playlists: study, party, sleep, your words, genres",
    "[options] [QUERY]",
    (
        Option(
            "-o",
            "--output",
            metavar="DIR",
            help="the folder for the playlists; without one, nothing is"
            " written",
        ),
        _flag("-l", "--list", help="show which playlists there would be"),
        Option(
            "-f",
            "--format",
            metavar="FORMAT",
            choices=["m3u8", "m3u", "nsp", "smartplaylist"],
            default="m3u8",
            help="m3u8 (the default), m3u (the same, as MPD names it), nsp"
            " (Navidrome's smart playlists) or smartplaylist (configuration"
            " for beets' plugin, printed)",
        ),
        Option(
            "--prefix",
            metavar="P",
            help="write paths relative to the folder of your music, with this"
            " in front, for a player that has the music elsewhere",
        ),
    ),
)
SOUNDTEACH = Command(
    "soundteach",
    "teach a word from examples: it becomes a mood like any other",
    "NAME QUERY [--not QUERY] | --list | --forget NAME",
    (
        Option(
            "--not",
            dest="refused",
            metavar="QUERY",
            help="tracks that the word does not fit; they count for more than"
            " other tracks",
        ),
        _flag("--list", help="list the words that have been taught"),
        Option("--forget", metavar="NAME", help="forget a word"),
        _flag(
            "-p",
            "--pretend",
            help="say how good the word would be, but change nothing",
        ),
    ),
    "The tracks that match QUERY are the examples: 5 or more, better 20.",
)
SOUNDREPORT = Command(
    "soundreport",
    "write a page about the collection: genres, moods, a map",
    "-o FILE [QUERY]",
    (Option("-o", "--output", metavar="FILE", help="the .html file to write"),),
)
SOUNDPLOT = Command(
    "soundplot",
    "draw tags, scores and features of music over time",
    "[-o DIR] QUERY",
    (
        Option(
            "-o",
            "--output",
            metavar="DIR",
            default=".",
            help="the folder for the pictures (default: this one)",
        ),
    ),
)
COMMANDS = (
    SOUNDTAGS,
    SOUNDMODELS,
    SOUNDFEATURES,
    SOUNDSTORE,
    SOUNDLIKE,
    SOUNDLISTS,
    SOUNDTEACH,
    SOUNDREPORT,
    SOUNDPLOT,
)

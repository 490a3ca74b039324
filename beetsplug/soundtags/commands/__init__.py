"""The commands: their options, and where each is carried out."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

Option = tuple[tuple[str, ...], dict[str, Any]]  # as optparse takes them


class Command(NamedTuple):
    """A command of beets.

    Attributes
    ----------
    name
        Also of the module here that carries it out.
    help
        What it does, for the list of commands.
    usage
        Its arguments.
    options
        Its options.
    description
        What else to say of it.
    """

    name: str
    help: str
    usage: str
    options: tuple[Option, ...]
    description: str = ""

    def run(self, *args: Any) -> None:
        """Carry it out; only now is what it needs loaded."""
        import_module(f".{self.name}", __name__).run(*args)


COMMANDS = (
    Command(
        "soundtags",
        "tag music with genre, mood, danceability and voice",
        "[options] [QUERY]",
        (
            (
                ("-p", "--pretend"),
                {
                    "action": "store_true",
                    "help": "show what would change, but change nothing",
                },
            ),
            (
                ("-f", "--force"),
                {
                    "action": "store_true",
                    "help": "analyse what is up to date, too, and replace"
                    " what you said yourself",
                },
            ),
            (
                ("-w", "--write"),
                {"action": "store_true", "help": "write tags to files"},
            ),
            (
                ("-W", "--nowrite"),
                {
                    "dest": "write",
                    "action": "store_false",
                    "help": "do not write tags to files",
                },
            ),
            (
                ("-q", "--quiet"),
                {"action": "store_true", "help": "say only what went wrong"},
            ),
            (
                ("-v", "--verbose"),
                {"action": "store_true", "help": "say what each model said"},
            ),
            (
                ("-j", "--jobs"),
                {
                    "type": "int",
                    "metavar": "N",
                    "help": "work with so many threads",
                },
            ),
            (
                ("--cluster",),
                {
                    "metavar": "ADDRESS",
                    "help": "run the models on a Dask cluster: the address of"
                    " its scheduler, or its scheduler file",
                },
            ),
            (
                ("-m", "--model"),
                {
                    "dest": "models",
                    "action": "append",
                    "metavar": "ID",
                    "help": "run this model instead of the configured ones"
                    " (repeatable)",
                },
            ),
            (
                ("--stats",),
                {
                    "action": "store_true",
                    "help": "analyse nothing, but count what was found:"
                    " scores, moods, genres",
                },
            ),
            (
                ("--undo",),
                {
                    "action": "store_true",
                    "help": "analyse nothing, but put back what was there"
                    " before the last change",
                },
            ),
        ),
    ),
    Command(
        "soundmodels",
        "list, fetch, verify and remove models for soundtags",
        "[list | info ID | fetch ID|GROUP... | verify | remove ID...]",
        (
            (
                ("-i", "--installed"),
                {"action": "store_true", "help": "list only what is here"},
            ),
            (
                ("--json",),
                {"action": "store_true", "help": "list all facts, as JSON"},
            ),
            (
                ("--insecure",),
                {
                    "action": "store_true",
                    "help": "fetch over plain HTTP, too, where anybody on the"
                    " way can change a model",
                },
            ),
        ),
        "Groups are: heads, announcement, a target such as mood_happy, or a"
        " family such as musicnn-msd.",
    ),
    Command(
        "soundfeatures",
        "export latent features of music",
        "-o FILE [options] [QUERY]",
        (
            (
                ("-o", "--output"),
                {"metavar": "FILE", "help": "the .npz file to write"},
            ),
            (
                ("-m", "--model"),
                {
                    "metavar": "ID",
                    "default": "msd-musicnn-1",
                    "help": "the model that listens (default: %default)",
                },
            ),
            (
                ("-l", "--layer"),
                {
                    "metavar": "NODE",
                    "help": "the layer, as `soundmodels info` names it"
                    " (default: the embedding)",
                },
            ),
            (
                ("--mean",),
                {
                    "action": "store_true",
                    "help": "the mean of each track instead of every patch",
                },
            ),
        ),
    ),
    Command(
        "soundstore",
        "show, prune and export what soundtags has heard",
        "[stats | prune | export -o FILE [QUERY]]",
        (
            (
                ("-o", "--output"),
                {
                    "metavar": "FILE",
                    "help": "the .csv or .parquet file to write",
                },
            ),
        ),
    ),
    Command(
        "soundlike",
        "list the tracks that sound most like others",
        "[options] QUERY",
        (
            (
                ("-n", "--number"),
                {
                    "type": "int",
                    "metavar": "N",
                    "default": 10,
                    "help": "how many to list (default: %default)",
                },
            ),
            (
                ("-f", "--format"),
                {"metavar": "FORMAT", "help": "print with a custom format"},
            ),
            (
                ("-p", "--path"),
                {
                    "dest": "format",
                    "action": "store_const",
                    "const": "$path",
                    "help": "print paths",
                },
            ),
            (
                ("-m", "--model"),
                {
                    "metavar": "ID",
                    "default": "msd-musicnn-1",
                    "help": "the model that listened (default: %default)",
                },
            ),
        ),
    ),
    Command(
        "soundreport",
        "write a page about the collection: genres, moods, a map",
        "-o FILE [QUERY]",
        (
            (
                ("-o", "--output"),
                {"metavar": "FILE", "help": "the .html file to write"},
            ),
        ),
    ),
    Command(
        "soundplot",
        "draw tags, scores and features of music over time",
        "[-o DIR] QUERY",
        (
            (
                ("-o", "--output"),
                {
                    "metavar": "DIR",
                    "default": ".",
                    "help": "the folder for the pictures (default: this one)",
                },
            ),
        ),
    ),
)

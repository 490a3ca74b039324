"""Run every model of the catalogue through beet, and print the results.

    python benchmarks/every_model.py TRACK [--models MODELS] [--only GROUP]

For each model, its file from MODELS, or else a stand-in with the same layers
and random weights, is put into the model folder of a library that holds TRACK;
then `beet soundtags -m ID` runs, and the fields of the model's target are read
from the library. The exit status is 1 if any model fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import yaml
from support.standins import write_standin

from beetsplug.soundtags import fields
from soundtags.models import catalogue

BATCHES = {"discogs-effnet-bs64-1": 64}  # fixed in the original
REAL, STANDIN, EMBEDDED = "real file", "stand-in", "embedded"


class Library:
    """A library of one track, and a model folder."""

    def __init__(self, folder: Path, track: Path, models: Path | None) -> None:
        self.folder = folder
        self.real = models
        self.models = folder / "soundtags-models"
        self.models.mkdir()
        config = {
            "directory": str(folder / "music"),
            "library": str(folder / "library.db"),
            "plugins": ["soundtags"],
            "soundtags": {"auto": False},
            "import": {"quiet": True, "copy": True},
            "ui": {"color": False},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        self.beet("import", "-A", str(track))

    def beet(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "beets", *args],
            env={**os.environ, "BEETSDIR": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def put(self, model: catalogue.Published) -> tuple[str, str]:
        """Put a model into the folder; return its name and what it is."""
        if (catalogue.data_folder() / f"{model.id}.pb").exists():
            return model.id, EMBEDDED
        for name in (model.id, *model.aliases):
            real = self.real and self.real / f"{name}.pb"
            if real and real.exists():
                (self.models / real.name).symlink_to(real)
                return name, REAL
        graph = self.models / f"{model.id}.pb"
        facts = model.metadata
        write_standin(
            graph,
            facts.algorithm,
            dict(facts.outputs),
            len(facts.classes),
            facts.backbone,
            facts.input,
            batch=BATCHES.get(model.id),
        )
        return model.id, STANDIN

    def clear(self) -> None:
        for path in self.models.iterdir():
            path.unlink()

    def values(self, model: catalogue.Published) -> dict[str, str]:
        """Return the fields of a model's target, as beet prints them."""
        target = catalogue.targets()[str(model.target)]
        without = {*fields.INTERNAL, "mood"}  # a track may have no mood at all
        if target.kind != catalogue.TAGS:
            without.add("soundtags")
        names = sorted(fields.item_types([target]).keys() - without)
        template = "\t".join(f"%ifdef{{{name},${name}}}" for name in names)
        values = self.beet("ls", "-f", template).stdout.strip("\n").split("\t")
        return dict(zip(names, values))

    def forget(self) -> None:
        """Remove the values of a run from the library."""
        database = sqlite3.connect(self.folder / "library.db")
        with contextlib.closing(database), database:
            database.execute("DELETE FROM item_attributes")


def check(library: Library, model: catalogue.Published) -> tuple[str, str]:
    """Run one model; return what was tried, and the result."""
    name, tried = library.put(model)
    if name != model.id:
        tried += f" {name}"
    if model.metadata.backbone:
        backbone = catalogue.published()[model.metadata.backbone]
        tried += f" on {library.put(backbone)[1]} {backbone.id}"
    done = library.beet("soundtags", "-m", name)
    if model.target is None:
        # A feature extractor has no classes; its heads do.
        refused = "predicts nothing by itself" in done.stderr
        return tried, "refused, as it should be" if refused else "FAILED"
    values = library.values(model)
    if done.returncode or not all(values.values()):
        return tried, f"FAILED: {values} {done.stdout}{done.stderr}"
    return tried, ", ".join(f"{name} {value}" for name, value in values.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("track", type=Path)
    parser.add_argument("--models", type=Path)
    groups = catalogue.groups()
    parser.add_argument("--only", metavar="GROUP", choices=groups)
    options = parser.parse_args()
    chosen = groups[options.only] if options.only else catalogue.published()
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        library = Library(Path(temporary), options.track, options.models)
        for name in chosen:
            tried, result = check(library, catalogue.published()[name])
            failed += result.startswith("FAILED")
            print(f"{name:44} {tried:46} {result}", flush=True)
            library.forget()
            library.clear()
    print(f"{len(chosen)} models, {failed} failed")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()

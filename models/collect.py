"""Collect the catalogue from upstream's metadata and facts kept by hand.

Reads a folder with upstream's JSON files and a table of known digests, adds
what they don't say (the announcement's names, folders and figures, licences)
and writes ``catalogue.json`` beside this script. Also writes
``allowed_operations.json``, which lists the operations that the graphs at hand
use: those that are run, and those that lie idle in some files.

    python models/collect.py [--reference DIR]
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from soundtags.inference.graph import cut, operations
from soundtags.inference.graphdef import GraphDef
from soundtags.models.metadata import Metadata, parse, read

HERE = Path(__file__).resolve().parent
REFERENCE = HERE.parent.parent / "shared" / "models"
BASE = "https://essentia.upf.edu/models/"

TARGETS = [
    "danceability",
    "gender",
    "genre_dortmund",
    "genre_electronic",
    "genre_rosamerica",
    "genre_tzanetakis",
    "mood_acoustic",
    "mood_aggressive",
    "mood_electronic",
    "mood_happy",
    "mood_party",
    "mood_relaxed",
    "mood_sad",
    "tonal_atonal",
    "voice_instrumental",
]
# Whole classifiers: family to the version of its current graphs and the
# parameters that the announcement gives.
CLASSIFIERS = {
    "musicnn-msd": (2, "790k"),
    "musicnn-mtt": (2, "790k"),
    "vggish-audioset": (1, "62M"),
}
AUTO_TAGGERS = {"musicnn": "790k", "vgg": "605k"}
DATASETS = ("msd", "mtt")
HEADS = ("msd-musicnn", "audioset-vggish", "discogs-effnet")
EXTRACTORS = {
    "audioset-vggish-3": [],
    "discogs-effnet-bs64-1": [
        "music-style-classification/discogs-effnet/discogs-effnet-bs64-1.pb"
    ],
}
# Targets whose models go by other names.
TARGET_OF = {
    "discogs": "genre_discogs400",
    "deam": "arousal_valence",
    "emomusic": "arousal_valence",
    "muse": "arousal_valence",
}
CC = "CC BY-NC-SA 4.0"

# Outputs of graphs that come without metadata.
OUTPUTS = {
    "small_vggish_init": ["model/Sigmoid"],
    "vgg4": ["model/Softmax"],
}
# Operations that depend on their inputs alone, and that graphs not at hand may
# have: the extractor discogs-effnet is an EfficientNet, converted from ONNX.
PURE = """
    Abs AddN AvgPool BatchMatMulV2 Cast ClipByValue DepthwiseConv2dNative Equal
    Erf Exp Fill GatherV2 Greater GreaterEqual IdentityN LeakyRelu Less
    LessEqual Log LogicalAnd LogicalNot LogicalOr Maximum Minimum Neg NoOp
    PadV2 Pow Prod Range Rank Relu6 Round Select SelectV2 Slice Softplus Split
    SplitV Sqrt Square SquaredDifference StatefulPartitionedCall StopGradient
    Sum Tanh Tile Unpack
""".split()  # noqa: SIM905


class Collector:
    """Knows upstream's files, and makes the catalogue's entries from them."""

    def __init__(self, reference: Path) -> None:
        self.folder = reference / "metadata"
        with (reference / "KNOWN_DIGESTS.tsv").open() as table:
            rows = list(csv.DictReader(table, delimiter="\t"))
        self.digests = {row["file"]: row for row in rows}

    def content(self, name: str) -> dict[str, Any]:
        """Return upstream's JSON, or ours where upstream's is not at hand."""
        path = self.folder / f"{name}.json"
        if not path.exists():
            path = HERE / f"{name}.json"
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def entry(
        self,
        name: str,
        family: str,
        paths: list[str],
        aliases: list[str] | None = None,
        announced: dict[str, Any] | None = None,
        licence: str = CC,
    ) -> dict[str, Any]:
        content = self.content(name)
        metadata = parse(content)
        link = content.get("link", "").removeprefix(BASE)
        files = dict.fromkeys([*filter(None, [link]), *paths])
        return {
            "family": family,
            "target": self.target(name, metadata),
            "aliases": aliases or [],
            "licence": licence,
            "announced": announced or {},
            "files": [self.file(path) for path in files],
            "metadata": {
                **metadata._asdict(),
                "outputs": dict(metadata.outputs),
                "metrics": dict(metadata.metrics),
            },
        }

    def target(self, name: str, metadata: Metadata) -> str | None:
        if not metadata.classes:
            return None
        base = name.split("-")[0]
        return TARGET_OF.get(base, base)

    def file(self, path: str) -> dict[str, Any]:
        known = self.digests.get(path.rpartition("/")[2])
        if known is None:
            return {"path": path}
        return {
            "path": path,
            "sha256": known["sha256"],
            "size": int(known["bytes"]),
        }

    def auto_taggers(self) -> dict[str, Any]:
        entries = {}
        for architecture, parameters in AUTO_TAGGERS.items():
            for dataset in DATASETS:
                name = f"{dataset}-{architecture}-1"
                old = f"{dataset.upper()}_{architecture}_frozen_small"
                current = f"autotagging/{dataset}/{name}.pb"
                # The figures come from our JSON, for all four alike.
                metrics = json.loads((HERE / f"{name}.json").read_text())
                entries[name] = self.entry(
                    name,
                    "auto-taggers",
                    [current, f"legacy/{current}", f"autotagging/{old}.pb"],
                    [old],
                    {
                        "parameters": parameters,
                        **metrics["dataset"]["metrics"],
                    },
                    "ISC",
                )
        return entries

    def classifiers(self) -> dict[str, Any]:
        entries = {}
        for family, (version, parameters) in CLASSIFIERS.items():
            for target in TARGETS:
                name = f"{target}-{family}-{version}"
                old = f"{target}_{family.replace('-', '_')}"
                current = f"classifiers/{target}/{name}.pb"
                entry = self.entry(
                    name,
                    family,
                    [
                        current,
                        f"legacy/{current}",
                        f"transfer_learning_classifiers/{target}/{old}.pb",
                    ],
                    [old],
                )
                (accuracy,) = entry["metadata"]["metrics"].values()
                entry["announced"] = {
                    "parameters": parameters,
                    "accuracy": accuracy,
                }
                entries[name] = entry
        return entries

    def heads(self) -> dict[str, Any]:
        return {
            path.stem: self.entry(path.stem, family, [])
            for family in HEADS
            for path in sorted(self.folder.glob(f"*-{family}-*.json"))
        }

    def extractors(self) -> dict[str, Any]:
        return {
            name: self.entry(name, "feature-extractors", paths)
            for name, paths in EXTRACTORS.items()
        }


def collect_operations(folders: list[Path]) -> dict[str, list[str]]:
    """List the operations of all graphs in some folders."""
    run, found = set(PURE), set[str]()
    for path in sorted(p for folder in folders for p in folder.glob("*.pb")):
        graph = GraphDef.FromString(path.read_bytes())
        outputs = OUTPUTS.get(path.stem)
        if outputs is None:
            metadata = read(path.with_suffix(".json"))
            outputs = [node for node, _ in metadata.outputs]
        needed = cut(graph, outputs)
        run |= operations(needed.node, needed.library.function)
        found |= operations(graph.node, graph.library.function)
    return {"run": sorted(run), "idle": sorted(found - run)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    options = parser.parse_args()
    collector = Collector(options.reference)
    groups = {
        "auto-taggers": collector.auto_taggers(),
        "whole classifiers": collector.classifiers(),
        "extractors": collector.extractors(),
        "heads": collector.heads(),
    }
    entries: dict[str, Any] = {}
    for group, members in groups.items():
        entries.update(members)
        print(f"{len(members)} {group}")
    text = json.dumps(entries, indent=1, ensure_ascii=False)
    (HERE / "catalogue.json").write_text(text + "\n", encoding="utf-8")
    used = collect_operations([HERE, options.reference])
    text = json.dumps(used, indent=1)
    (HERE / "allowed_operations.json").write_text(text + "\n", encoding="utf-8")
    print(", ".join(f"{len(used[kind])} operations {kind}" for kind in used))
    known = sum(
        any("sha256" in f for f in e["files"]) for e in entries.values()
    )
    print(f"{len(entries)} models, {known} with a known digest")


if __name__ == "__main__":
    main()

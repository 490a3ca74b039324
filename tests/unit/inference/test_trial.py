"""Models from elsewhere: tried once, named if they are no good, else run."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import hostile
from support.models import write_model

from soundtags.audio.features import features
from soundtags.errors import UnusableModel
from soundtags.inference.engine_choice import EngineChoice
from soundtags.inference.pipeline import predict_all
from soundtags.inference.sessions import SessionPool
from soundtags.inference.verdicts import Verdicts
from soundtags.models import plan
from soundtags.models.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

TAGGERS = ["msd-musicnn-1", "mtt-musicnn-1"]
X86 = ("x86_64", "AMD64")
TWO_GB = 2 * 2**20  # in the unit of ru_maxrss


class Chooser:
    """Makes plans of what is in a folder, and keeps what is said meanwhile."""

    def __init__(self, folder: Path, file: Path, engine: str) -> None:
        self.folder = folder
        self.file = file
        self.engine = engine
        self.said: list[str] = []
        self.tried: list[int] = []

    def ids(self, names: list[str] | None = None) -> list[str]:
        """Return the models of a plan, made by another run of the program."""
        self.said.clear()
        self.tried.clear()
        choice = EngineChoice(self.engine)
        verdicts = Verdicts(self.file, self.tried.append, choice)
        made = plan.make_plan(
            names,
            self.folder,
            Settings(),
            self.said.append,
            find_faults=verdicts.faults,
        )
        return sorted(model.id for model in made.models)


@pytest.fixture
def chooser(tmp_path, request):
    folder, file = tmp_path / "models", tmp_path / "verdicts.json"
    return Chooser(folder, file, getattr(request, "param", "numpy"))


# Elsewhere, NumPy has to do: TensorFlow takes seconds to load.
on_both = pytest.mark.parametrize(
    "chooser", ["tensorflow", "numpy"], indirect=True
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chooser", "pattern"),
    # Each model that ends its process costs another start of TensorFlow.
    [("tensorflow", "odd|fail|long|big-fill"), ("numpy", "")],
    indirect=["chooser"],
)
def test_bad_models_are_named_and_good_ones_run(chooser, pattern):
    graphs = {
        name: graph
        for name, graph in hostile.GRAPHS.items()
        if re.match(pattern, name)
    }
    for name, (build, _) in graphs.items():
        hostile.write_graph(chooser.folder, name, build)
    happy = ["happy", "non_happy"]
    write_model(chooser.folder, "good-1", happy, [0, 1])
    write_model(chooser.folder, "head-1", happy, [0, 1], "msd-musicnn-1", 0.1)
    assert chooser.ids() == ["head-1", *TAGGERS]
    assert chooser.tried == [len(graphs) + 1, 1]
    said = dict(
        line.removeprefix("left out: ").split(": ", 1) for line in chooser.said
    )
    assert said.keys() == graphs.keys()
    assert len(chooser.said) == len(said)
    for name, (_, reason) in graphs.items():
        assert re.match(reason, said[name]), said[name]
    again = [*chooser.said]
    assert chooser.ids() == ["head-1", *TAGGERS]
    assert chooser.tried == []
    assert chooser.said == again


def test_what_comes_with_the_package_is_not_tried(chooser):
    assert chooser.ids() == TAGGERS
    assert chooser.tried == []
    assert not chooser.file.exists()


@pytest.mark.slow
def test_verdicts_are_about_what_is_in_the_files(chooser):
    colours = ["red", "green"]
    path = hostile.write_graph(
        chooser.folder, "x-1", lambda _, scores: scores[:, :1], classes=colours
    )
    assert chooser.ids() == TAGGERS
    write_model(chooser.folder, "x-1", colours, [0, 1])
    assert chooser.ids() == [*TAGGERS, "x-1"]
    metadata = path.with_suffix(".json")
    metadata.write_text(
        metadata.read_text().replace('["red", ', '["red", "blue", ')
    )
    assert chooser.ids() == TAGGERS
    assert chooser.said == ["left out: x-1: gives (2,) values for 3 classes"]
    with pytest.raises(UnusableModel, match=r"x-1: gives \(2,\) values"):
        chooser.ids(["x-1"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b'{"versions": 1, "reasons": 2}', b"[" * 10**5],
    ids=["empty", "bytes", "list", "numbers", "deep"],
)
def test_a_damaged_file_of_verdicts_is_made_anew(chooser, content):
    write_model(chooser.folder, "x-1", ["red", "green"], [0, 1])
    chooser.file.write_bytes(content)
    assert chooser.ids() == [*TAGGERS, "x-1"]
    assert chooser.tried == [1]
    assert json.loads(chooser.file.read_bytes())


@pytest.mark.slow
def test_where_nothing_can_be_kept_models_are_tried_again(chooser):
    write_model(chooser.folder, "x-1", ["red", "green"], [0, 1])
    chooser.file.mkdir()
    for _ in range(2):
        assert chooser.ids() == [*TAGGERS, "x-1"]
        assert chooser.tried == [1]


@pytest.mark.slow
def test_heads_on_what_cannot_be_used_are_left_out_with_it(chooser):
    path = hostile.write_graph(
        chooser.folder, "base-1", lambda _, scores: scores * np.nan, classes=[]
    )
    metadata = path.with_suffix(".json")
    metadata.write_text(
        metadata.read_text().replace("predictions", "embeddings")
    )
    write_model(chooser.folder, "head-1", ["red", "green"], [0, 1], "base-1")
    wide = write_model(
        chooser.folder, "wide-1", ["a", "b"], [0, 1], "mtt-vgg-1"
    )
    text = wide.with_suffix(".json").read_text()
    wide.with_suffix(".json").write_text(
        text.replace("mtt-vgg-1", "msd-musicnn-1")
    )
    assert chooser.ids() == [*TAGGERS, "wide-1"]
    assert sorted(chooser.said) == [
        "left out: base-1: model/Sigmoid gives values that are not finite",
        "left out: head-1: needs base-1, which cannot be used",
    ]


@pytest.mark.slow
def test_an_embedded_model_is_back_if_its_replacement_is_no_good(chooser):
    build, _ = hostile.GRAPHS["odd-nan"]
    classes = [f"tag {number}" for number in range(50)]
    hostile.write_graph(chooser.folder, "msd-musicnn-1", build, classes=classes)
    assert chooser.ids() == TAGGERS
    assert [line.split(":")[1] for line in chooser.said] == [" msd-musicnn-1"]


def loud_is_nothing(_fed, scores):
    """Give scores that are none where there is music."""
    tf = hostile.tensorflow()
    return tf.where(scores > 0.5, scores * np.nan, scores)


@on_both
@pytest.mark.slow
def test_values_that_are_not_finite_cost_the_track(chooser, track, tmp_path):
    hostile.write_graph(chooser.folder, "moody-1", loud_is_nothing)
    assert "moody-1" in chooser.ids()
    made = plan.make_plan(["moody-1"], chooser.folder, Settings(), print)

    def loud(path, spec, checkpoint):
        for chunk in features(path, spec, checkpoint):
            for patches in chunk.patches.values():
                patches += 1.0
            yield chunk

    pool = SessionPool(10**9, EngineChoice(chooser.engine))
    (result,) = predict_all([(0, str(track))], made, pool, 1, loud)
    assert str(result.error) == "moody-1: gives values that are not finite"


NO_AVX = """
import numpy._core._multiarray_umath as numpy
numpy.__cpu_features__["AVX"] = False
"""


@pytest.mark.parametrize(
    ("module", "content", "reason"),
    [
        ("tensorflow", "raise TypeError('mixed')", "does not load: mixed"),
        ("tensorflow", "raise MemoryError", "does not load: MemoryError"),
        ("sitecustomize", NO_AVX, "cannot run here: it needs a .* with AVX"),
    ],
)
def test_tensorflow_that_cannot_run_is_found_out(
    tmp_path, module, content, reason
):
    if module == "sitecustomize" and platform.machine() not in X86:
        pytest.skip("only on these processors, TensorFlow needs AVX")
    (tmp_path / f"{module}.py").write_text(content)
    code = "from soundtags.inference.tensorflow_engine import tensorflow as tf"
    code += "; tf()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert re.match(rf".*NoTensorFlow: TensorFlow {reason}", last), last

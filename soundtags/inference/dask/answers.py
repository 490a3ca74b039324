"""The answers of workers as they travel: JSON, which is checked as it is read.

Nothing in an answer is run or unpickled, and whatever it says, the result is a
:class:`Reply` with what was asked for, or with an error.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags import errors
from soundtags.errors import (
    BrokenModels,
    CrashedWorker,
    SoundtagsError,
    UnexpectedFailure,
    UnfitWorker,
    UnusableModel,
    first_line,
)
from soundtags.inference.dask.messages import (
    Failed,
    GraphFile,
    GraphsStored,
    Lost,
    MissingGraphs,
    Predicted,
    Reply,
    plan_models,
)
from soundtags.inference.pipeline import TrackResult
from soundtags.inference.pooling import TrackPredictions
from soundtags.version import PACKAGE, package_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundtags.inference.dask.messages import Outcome
    from soundtags.models.plan import Plan

FLOATS = np.dtype("<f4")
ERRORS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, SoundtagsError)
}


def encode(reply: Reply) -> bytes:
    """Return a worker's reply as it is sent.

    Workers with other versions of this package send replies, too: the part
    that says why a worker cannot be used must remain readable.
    """
    content: dict[str, Any] = {"worker": reply.worker}
    match reply.outcome:
        case Predicted(results):
            content["predicted"] = [_packed_result(each) for each in results]
        case MissingGraphs(graphs):
            content["missing"] = graphs
        case Failed(error):
            content["failed"] = _packed_error(error)
    return json.dumps(content).encode()


def read_reply(status: str, value: Any, plan: Plan, count: int) -> Reply:
    """Return the reply to a request.

    Parameters
    ----------
    status
        The status of the task, from Dask.
    value
        The answer, which can be anything, or the error of the task.
    plan
        The models that the worker was to run.
    count
        The number of tracks that it was given.

    Returns
    -------
    Reply
        With an UnexpectedFailure if the answer cannot be used, as other
        workers may do better.
    """
    if status == "finished":
        return _decode(value, plan, count)
    if status != "error":  # cancelled, or lost
        return Reply(None, Lost())
    return Reply(None, Failed(_task_error(value)))


def _decode(answer: object, plan: Plan, count: int) -> Reply:
    worker = None
    try:
        if not isinstance(answer, bytes):
            raise TypeError(f"{type(answer).__name__} instead of bytes")
        content = json.loads(answer)
        worker = _text(content["worker"])
        return Reply(worker, _outcome(content, plan, count))
    except Exception as exc:  # an answer can be wrong in any way
        return Reply(worker, Failed(_unusable(exc)))


def _task_error(exc: BaseException) -> SoundtagsError:
    """Return the error for a task that ended without an answer."""
    from distributed import KilledWorker

    if isinstance(exc, KilledWorker):
        return CrashedWorker(
            "workers of the cluster crashed while analysing it"
        )
    if isinstance(exc, ImportError):
        return UnfitWorker(
            f"a worker cannot load the plugin: {first_line(exc)}; install on"
            f" every worker: {PACKAGE}[cluster]=={package_version()}"
        )
    return UnexpectedFailure(f"a worker failed: {first_line(exc)}")


def _outcome(content: Mapping[str, Any], plan: Plan, count: int) -> Outcome:
    if "predicted" in content:
        results = content["predicted"]
        if [each["key"] for each in results] != list(range(count)):
            raise ValueError(f"{len(results)} results for {count} tracks")
        return Predicted([_result(each, plan) for each in results])
    if "missing" in content:
        graphs = [GraphFile(*map(_text, each)) for each in content["missing"]]
        if not {*graphs} <= {GraphFile.of(m) for m in plan_models(plan)}:
            raise ValueError("a request for models that are not in the plan")
        return MissingGraphs(graphs)
    if "failed" in content:
        return Failed(_error(content["failed"], plan))
    return GraphsStored()


def _packed_result(result: TrackResult[int]) -> dict[str, Any]:
    if result.error:
        return {"key": result.key, "error": _packed_error(result.error)}
    found = result.unwrap()
    return {
        "key": result.key,
        "inputs": dict(found.inputs),
        "seconds": float(found.seconds),
        "level": float(found.level),
        "activations": _packed_arrays(found.activations),
        "embeddings": _packed_arrays(found.embeddings),
    }


def _result(content: Mapping[str, Any], plan: Plan) -> TrackResult[int]:
    """Read the result for a track; an error in it affects no other track."""
    key = content["key"]
    try:
        if "error" in content:
            return TrackResult(key, error=_error(content["error"], plan))
        return TrackResult(key, _predictions(content, plan))
    except Exception as exc:
        return TrackResult(key, error=_unusable(exc))


def _predictions(content: Mapping[str, Any], plan: Plan) -> TrackPredictions:
    inputs = {name: _text(each) for name, each in content["inputs"].items()}
    if inputs.keys() != plan.front_ends:
        raise ValueError(f"inputs of {', '.join(inputs) or 'no front end'}")
    activations = _arrays(content["activations"])
    sizes = {model.id: len(model.metadata.classes) for model in plan.models}
    if {name: len(each) for name, each in activations.items()} != sizes:
        raise ValueError("activations of other models or classes")
    embeddings = _arrays(content["embeddings"])
    fed = {model.id for model in plan.fed if model.metadata.embedding}
    if not embeddings.keys() <= fed or not all(map(len, embeddings.values())):
        raise ValueError("embeddings of other models")
    return TrackPredictions(
        inputs,
        _amount(content["seconds"]),
        _amount(content["level"]),
        activations,
        embeddings,
    )


def _packed_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    return {
        name: base64.b64encode(each.astype(FLOATS).tobytes()).decode()
        for name, each in arrays.items()
    }


def _arrays(content: Mapping[str, str]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, text in content.items():
        values = np.frombuffer(base64.b64decode(text, validate=True), FLOATS)
        if not np.isfinite(values).all():
            raise ValueError(f"{name}: values that are not finite")
        arrays[name] = values.astype(np.float32)
    return arrays


def _packed_error(error: SoundtagsError) -> dict[str, Any]:
    return {
        "kind": type(error).__name__,
        "text": str(error),
        "trace": getattr(error, "trace", ""),
        "faults": {n: str(e) for n, e in getattr(error, "faults", {}).items()},
    }


def _error(content: Mapping[str, Any], plan: Plan) -> SoundtagsError:
    kind, text = ERRORS[content["kind"]], _text(content["text"])
    if kind is BrokenModels:
        faults = {n: _text(each) for n, each in content["faults"].items()}
        if not faults or not faults.keys() <= {m.id for m in plan_models(plan)}:
            raise ValueError("an error of models that are not in the plan")
        return BrokenModels({n: UnusableModel(faults[n]) for n in faults})
    error = kind(text)
    if isinstance(error, UnexpectedFailure):
        error.trace = _text(content["trace"])
    return error


def _unusable(exc: Exception) -> UnexpectedFailure:
    return UnexpectedFailure(
        f"a worker gave an unusable answer: {first_line(exc)}"
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of a text")
    return value


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{value!r} is not a duration or level")
    return float(value)

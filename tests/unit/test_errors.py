"""The exceptions: their tree is as documented, and they can be sent."""

from __future__ import annotations

import pickle

import pytest

from soundtags import errors


def tree(of: type[Exception], depth: int = 0) -> list[tuple[int, str]]:
    """Return the names of a class and of those below it, with their depth."""
    below = (tree(each, depth + 1) for each in of.__subclasses__())
    return [(depth, of.__name__), *(line for lines in below for line in lines)]


def classes(of: type[Exception]) -> list[type[Exception]]:
    below = (classes(each) for each in of.__subclasses__())
    return [of, *(each for some in below for each in some)]


def test_the_tree_is_as_documented():
    assert errors.__doc__
    drawn = errors.__doc__.split("::\n\n")[1].rstrip().splitlines()
    documented = []
    for line in drawn:
        name = line.replace(" (also a ValueError)", "").lstrip("+-| ")
        documented.append((line.index(name) // 4 - 1, name))
    assert sorted(documented) == sorted(tree(errors.SoundtagsError))
    assert issubclass(errors.ParameterError, ValueError)


@pytest.mark.parametrize("kind", classes(errors.SoundtagsError))
def test_errors_survive_pickling(kind: type[Exception]):
    broken = kind is errors.BrokenModels
    error = kind({"x": errors.UnusableModel("y")} if broken else "y")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == "y"


def test_broken_models_keep_their_faults():
    error = errors.BrokenModels({"x": errors.UnusableModel("y")})
    again = pickle.loads(pickle.dumps(error))
    assert str(again.faults["x"]) == "y"


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def fail() -> None:
    raise Unspeakable


def test_errors_that_cannot_be_printed_are_named():
    assert errors.first_line(Unspeakable()) == "Unspeakable"
    failure = errors.capture_errors(fail)
    assert str(failure) == "unexpected Unspeakable: "

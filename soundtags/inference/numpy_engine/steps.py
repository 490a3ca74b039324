"""Graphs as lists of steps: compiled once, then run for any rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from soundtags.errors import UnusableModel, first_line
from soundtags.inference.graphdef import to_array
from soundtags.inference.numpy_engine.attributes import UnknownAttribute
from soundtags.inference.numpy_engine.flat_graph import FlatGraph, source_of
from soundtags.inference.numpy_engine.operations import (
    IN_PLACE,
    MONOTONIC,
    OPERATIONS,
    RANDOM,
    SAME,
    VIEWS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soundtags.inference.engine import Program
    from soundtags.inference.numpy_engine.flat_graph import Source

    Values = dict[Source, Any]

# What operations raise for values that do not fit them.
ERRORS = (ArithmeticError, LookupError, TypeError, ValueError)


@dataclass
class Step:
    """An operation whose result depends on the rows.

    Attributes
    ----------
    name, operation : str
        Name and operation of the node.
    function : callable
        Computes the result from the values of the inputs. The result is a
        tuple if there are several outputs.
    inputs : list of Source
        The values that it takes.
    unneeded : list of Source
        Those of its inputs that are not needed afterwards.
    """

    name: str
    operation: str
    function: Callable[..., Any]
    inputs: list[Source]
    unneeded: list[Source] = field(default_factory=list)

    def swap(self, other: Step) -> None:
        """Change places with the step that comes before."""
        for name in ("operation", "function"):
            ours, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, theirs)
            setattr(other, name, ours)
        self.inputs[1:], other.inputs[1:] = other.inputs[1:], self.inputs[1:]

    def run(self, values: Values) -> None:
        """Add the result to the values, and drop what is not needed."""
        try:
            result = self.function(*(values[each] for each in self.inputs))
        except ERRORS as exc:
            raise UnusableModel(f"{self.name}: {first_line(exc)}") from exc
        except MemoryError as exc:
            raise UnusableModel(f"{self.name}: takes too much memory") from exc
        for source in self.unneeded:
            del values[source]
        outputs = result if isinstance(result, tuple) else (result,)
        for index, value in enumerate(outputs):
            values[self.name, index] = value


@dataclass(frozen=True)
class Steps:
    """A compiled graph.

    Attributes
    ----------
    steps : list of Step
        In an order in which they can run.
    constants : dict of Source to numpy.ndarray
        Values that do not depend on the rows.
    input : Source
        The rows.
    outputs : list of Source
        What is to be returned.
    """

    steps: list[Step]
    constants: Values
    input: Source
    outputs: list[Source]

    def run(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the outputs for some rows."""
        values = {**self.constants, self.input: rows}
        with np.errstate(all="ignore"):
            for step in self.steps:
                step.run(values)
        for name, index in self.outputs:
            if (name, index) not in values:
                raise UnusableModel(f"{name} has no output {index}")
        return [np.asarray(values[each]) for each in self.outputs]


def compile_steps(program: Program) -> Steps:
    """Compile a graph.

    Parameters
    ----------
    program : Program
        The graph.

    Raises
    ------
    UnusableModel
        If it has an operation that is not implemented, or is damaged.
    """
    compiler = _Compiler(program)
    for name in compiler.order():
        compiler.add(name)
    outputs = list(map(compiler.resolve, compiler.outputs))
    for source in outputs:
        compiler.check_alive(source)
    steps = _needed(compiler.steps, outputs)
    _pool_first(steps, outputs)
    _reuse_memory(steps, outputs, compiler.constants)
    _mark_unneeded(steps, outputs)
    taken = {each for step in steps for each in step.inputs} | {*outputs}
    constants = {
        source: value
        for source, value in compiler.constants.items()
        if source in taken
    }
    return Steps(steps, constants, compiler.input, outputs)


class _Compiler:
    """Turns nodes into steps, and computes constant ones right away.

    Of the two branches behind a switch, only one is alive.
    """

    def __init__(self, program: Program) -> None:
        self.input = source_of(program.input)
        self.outputs = list(map(source_of, program.outputs))
        self.steps: list[Step] = []
        self.constants: Values = {
            (flag, 0): np.array(False) for flag in program.flags
        }
        for name in list(program.weights):
            self.constants[name, 0] = program.weights.pop(name)
        self._flat = FlatGraph(program.graph)
        self._same: dict[Source, Source] = {}
        self._dead: set[Source] = set()
        self._dead_nodes: set[str] = set()

    def resolve(self, source: Source) -> Source:
        """Return the output that a value originally comes from."""
        source = self._flat.resolve(source)
        while source in self._same:
            source = self._same[source]
        return source

    def order(self) -> list[str]:
        """Return the nodes that outputs need, each after its inputs."""
        found: dict[str, bool] = {}  # whether all that it needs is done
        given = {name for name, _ in [*self.constants, self.input]}
        waiting = [self._flat.resolve(each)[0] for each in self.outputs]
        done: list[str] = []
        while waiting:
            name = waiting.pop()
            if name in given or found.get(name):
                continue
            if name in found:
                found[name] = True
                done.append(name)
                continue
            if name not in self._flat.nodes:
                raise UnusableModel(f"damaged: has no node {name}")
            found[name] = False
            waiting.append(name)
            for each in self._flat.nodes[name].inputs:
                source, _ = self._flat.resolve(each)
                if found.get(source) is False:
                    raise UnusableModel(f"damaged: {source} needs itself")
                waiting.append(source)
        return done

    def add(self, name: str) -> None:
        """Compute a node if it is constant, or else add it as a step."""
        node = self._flat.nodes[name]
        inputs = list(map(self.resolve, node.inputs))
        operation = node.definition.op
        if operation == "Merge":
            self._merge(name, inputs)
        elif any(map(self._is_dead, inputs)):
            self._dead_nodes.add(name)
        elif operation == "Switch":
            self._switch(name, *inputs)
        elif operation in SAME:
            self._same[name, 0] = inputs[0]
        else:
            step = Step(name, operation, self._function(name), inputs)
            constant = all(each in self.constants for each in inputs)
            if constant and operation not in RANDOM:
                with np.errstate(all="ignore"):
                    step.run(self.constants)
            else:
                self.steps.append(step)

    def check_alive(self, source: Source) -> None:
        if self._is_dead(source):
            raise UnusableModel(f"{source[0]} is never computed")

    def _is_dead(self, source: Source) -> bool:
        return source in self._dead or source[0] in self._dead_nodes

    def _switch(self, name: str, data: Source, condition: Source) -> None:
        if condition not in self.constants:
            raise UnusableModel(f"{name}: a branch depends on the input values")
        alive = int(bool(self.constants[condition]))
        self._same[name, alive] = data
        self._dead.add((name, 1 - alive))

    def _merge(self, name: str, inputs: Sequence[Source]) -> None:
        for index, source in enumerate(inputs):
            if not self._is_dead(source):
                self._same[name, 0] = source
                self.constants[name, 1] = np.array(index, np.int32)
                return
        self._dead_nodes.add(name)

    def _function(self, name: str) -> Callable[..., Any]:
        definition = self._flat.nodes[name].definition
        if definition.op == "Const":
            tensor = definition.attr["value"].tensor
            return lambda: to_array(tensor)
        if definition.op not in OPERATIONS:
            raise UnusableModel(
                f"{name}: the operation {definition.op} is not implemented for"
                " NumPy; set soundtags.engine to tensorflow"
            )
        try:
            return OPERATIONS[definition.op](definition)
        except UnknownAttribute as exc:
            raise UnusableModel(
                f"{name}: the operation {definition.op} is not implemented for"
                f" NumPy with {exc}; set soundtags.engine to tensorflow"
            ) from exc


def _needed(steps: Sequence[Step], outputs: Sequence[Source]) -> list[Step]:
    """Return the steps that outputs need."""
    names = {name for name, _ in outputs}
    found = []
    for step in reversed(steps):
        if step.name in names:
            names |= {name for name, _ in step.inputs}
            found.append(step)
    return found[::-1]


def _pool_first(steps: Sequence[Step], outputs: Sequence[Source]) -> None:
    """Take maxima before operations that keep the order of values.

    The results are the same to the last bit, and less is left to compute.
    """
    uses = Counter(each for step in steps for each in step.inputs)
    uses.update(outputs)
    by_name = {step.name: step for step in steps}
    for step in steps:
        pool = step
        while pool.operation == "MaxPool" and uses[pool.inputs[0]] == 1:
            before = by_name.get(pool.inputs[0][0])
            if before is None or before.operation not in MONOTONIC:
                break
            pool.swap(before)
            pool = before


def _reuse_memory(
    steps: Sequence[Step], outputs: Sequence[Source], constants: Values
) -> None:
    """Have steps overwrite inputs that nothing else needs."""
    uses = Counter(each for step in steps for each in step.inputs)
    uses.update(outputs)
    owned: set[Source] = set()  # values that share memory with no others

    def is_free(source: Source) -> bool:
        return source in owned and uses[source] == 1

    for step in steps:
        fed = [each for each in step.inputs if each not in constants]
        free = list(filter(is_free, fed))
        if step.operation in IN_PLACE and free:
            index = step.inputs.index(free[0])
            step.function = _in_place(step.function, index)
        if step.operation not in VIEWS or free == fed:
            owned.add((step.name, 0))


def _in_place(
    function: Callable[..., Any], index: int
) -> Callable[..., np.ndarray]:
    """Return a function that puts its result into one of its arguments."""

    def run(*args: Any) -> np.ndarray:
        target = args[index]
        shape = np.broadcast_shapes(*map(np.shape, args))
        fits = target.shape == shape and target.ndim
        result: np.ndarray = function(*args, out=target if fits else None)
        return result

    return run


def _mark_unneeded(steps: Sequence[Step], outputs: Sequence[Source]) -> None:
    """Have each step drop the values that are not needed after it."""
    kept = {*outputs}
    for step in reversed(steps):
        step.unneeded = [each for each in {*step.inputs} if each not in kept]
        kept.update(step.inputs)

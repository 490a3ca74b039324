"""Frozen graphs as TensorFlow stores them, without TensorFlow.

The messages have the fields that we read or write, with the numbers from
TensorFlow's public definitions. Anything else in a file is kept, and written
back. The messages are in a descriptor pool of their own, so that TensorFlow
can define its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = "soundtags"
# By message: field to its number and type. "*" stands for repeated fields, "%"
# for maps from strings, and "?" for alternatives of which one is set.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "GraphDef": {
        "node": (1, "*NodeDef"),
        "library": (2, "FunctionDefLibrary"),
        "versions": (4, "VersionDef"),
    },
    "VersionDef": {},
    "NodeDef": {
        "name": (1, "string"),
        "op": (2, "string"),
        "input": (3, "*string"),
        "attr": (5, "%AttrValue"),
    },
    "AttrValue": {
        "list": (1, "?ListValue"),
        "s": (2, "?bytes"),
        "i": (3, "?int64"),
        "f": (4, "?float"),
        "b": (5, "?bool"),
        "type": (6, "?int32"),
        "shape": (7, "?TensorShapeProto"),
        "tensor": (8, "?TensorProto"),
        "placeholder": (9, "?string"),
        "func": (10, "?NameAttrList"),
    },
    "ListValue": {
        "s": (2, "*bytes"),
        "i": (3, "*int64"),
        "f": (4, "*float"),
        "b": (5, "*bool"),
        "type": (6, "*int32"),
        "shape": (7, "*TensorShapeProto"),
        "tensor": (8, "*TensorProto"),
        "func": (9, "*NameAttrList"),
    },
    "NameAttrList": {"name": (1, "string"), "attr": (2, "%AttrValue")},
    "TensorProto": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, "TensorShapeProto"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "*float"),
        "double_val": (6, "*double"),
        "int_val": (7, "*int32"),
        "int64_val": (10, "*int64"),
        "bool_val": (11, "*bool"),
    },
    "TensorShapeProto": {
        "dim": (2, "*Dim"),
        "unknown_rank": (3, "bool"),
    },
    "Dim": {"size": (1, "int64")},
    "FunctionDefLibrary": {"function": (1, "*FunctionDef")},
    "FunctionDef": {
        "signature": (1, "OpDef"),
        "node_def": (3, "*NodeDef"),
        "ret": (4, "%string"),
    },
    "OpDef": {
        "name": (1, "string"),
        "input_arg": (2, "*ArgDef"),
        "output_arg": (3, "*ArgDef"),
    },
    "ArgDef": {"name": (1, "string"), "type": (3, "int32")},
}

# TensorFlow's numbers for types.
FLOAT, INT32, BOOL = 1, 3, 10
LAYOUT = b"NHWC"  # of images: rows, height, width, channels
# By such a number: the type, and the field that lists values one by one.
DTYPES = {
    FLOAT: (np.float32, "float_val"),
    2: (np.float64, "double_val"),
    INT32: (np.int32, "int_val"),
    4: (np.uint8, "int_val"),
    5: (np.int16, "int_val"),
    6: (np.int8, "int_val"),
    9: (np.int64, "int64_val"),
    BOOL: (np.bool_, "bool_val"),
    17: (np.uint16, "int_val"),
}
NUMBERS = {np.dtype(dtype): number for number, (dtype, _) in DTYPES.items()}


def _classes() -> Mapping[str, Any]:
    """Return the classes of all messages, by name."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{PACKAGE}/graph.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{PACKAGE}.{name}")
        )
        for name in MESSAGES
    }


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    """Add a field to the description of a message."""
    plain = kind.lstrip("*%?")
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_OPTIONAL
    if kind.startswith("%"):
        plain = f"{message.name}.{name.title()}Entry"
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind[1:])
    if kind.startswith(("*", "%")):
        field.label = field.LABEL_REPEATED
    if kind.startswith("?"):
        if not message.oneof_decl:
            message.oneof_decl.add(name="value")
        field.oneof_index = 0
    if plain[0].isupper():
        field.type_name = f".{PACKAGE}.{plain}"
    else:
        field.type = getattr(field, f"TYPE_{plain.upper()}")


_CLASSES = _classes()
GraphDef = _CLASSES["GraphDef"]
NodeDef = _CLASSES["NodeDef"]


def to_array(tensor: Any) -> np.ndarray:
    """Return the value of a constant.

    Parameters
    ----------
    tensor : TensorProto
        The message.

    Returns
    -------
    numpy.ndarray
        It may be read-only.

    Raises
    ------
    TypeError
        If it is of a type that no model needs, such as text.
    ValueError
        If the values do not fit its shape.
    """
    if tensor.dtype not in DTYPES:
        raise TypeError(f"type {tensor.dtype} of a constant")
    dtype, field = DTYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_content:
        stored = np.dtype(dtype).newbyteorder("<")
        values = np.frombuffer(tensor.tensor_content, stored)
        return values.astype(dtype, copy=False).reshape(shape)
    values = np.array(getattr(tensor, field)).astype(dtype)
    missing = math.prod(shape) - len(values)
    if missing > 0:  # the last value stands for all that follow
        last = values[-1:] if len(values) else np.zeros(1, dtype)
        values = np.concatenate([values, np.broadcast_to(last, missing)])
    return values.reshape(shape)


def to_tensor(values: np.ndarray) -> Any:
    """Return a constant's value as a TensorProto; see :func:`to_array`."""
    tensor = _CLASSES["TensorProto"](dtype=NUMBERS[values.dtype])
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    stored = values.dtype.newbyteorder("<")
    tensor.tensor_content = values.astype(stored, copy=False).tobytes()
    return tensor


def attribute(node: Any, name: str, kind: str, default: Any) -> Any:
    """Return an attribute of a node, or TensorFlow's default for it."""
    return getattr(node.attr[name], kind) if name in node.attr else default

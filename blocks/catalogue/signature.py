"""Read the options and slots of a block from its signature, as source text."""

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from blocks.catalogue.errors import CatalogueError, nearest

TYPES = {"int": int, "float": float, "bool": bool, "str": str, "none": type(None)}


@dataclass(frozen=True)
class Option:
    """One option of a choice, as its signature declares it.

    Args:
        name: the keyword.
        types: the types that fit: int, float, bool, str, none; of the items if `is_list` (then none is the list's).
        allowed: the only values that fit, if the annotation is `Literal`.
        is_list: whether the option takes a list.
        or_one: whether a single item fits in place of the list.
        default: the value where none is given; None too if the option is required.
        required: whether there is no default.
    """

    name: str
    types: tuple[str, ...]
    allowed: tuple[Any, ...] | None = None
    is_list: bool = False
    default: Any = None
    required: bool = False
    or_one: bool = False

    def check(self, value: object) -> str | None:
        """Return what is wrong with a value, None if it fits."""
        if not self.is_list:
            return None if self._fits(value) else f"expected {self._expected()}, not {value!r}{self._hint(value)}"
        if value is None and "none" in self.types:
            return None
        if not isinstance(value, list | tuple):
            if self.or_one:
                return None if self._fits(value) else f"expected {self._expected()} or a list, not {value!r}"
            return f"expected a list of {self._expected()}, not {value!r}"
        wrong = [item for item in value if item is None or not self._fits(item)]
        return (
            f"expected a list of {self._expected()}, not one with {wrong[0]!r}{self._hint(wrong[0])}" if wrong else None
        )

    def _fits(self, value: object) -> bool:
        if self.allowed is not None:
            # 1, 1.0 and True are equal to Python, but not to the reader of a table.
            return any(type(value) is type(known) and value == known for known in self.allowed)
        if isinstance(value, float) and not math.isfinite(value):
            return False
        kinds = {TYPES[name] for name in self.types}
        return type(value) in kinds or (type(value) is int and float in kinds)

    def _expected(self) -> str:
        if self.allowed is not None:
            return f"one of {', '.join(map(_shown, self.allowed))}"
        return " or ".join(self.types)

    def _hint(self, value: object) -> str:
        return nearest(value, map(_shown, self.allowed)) if self.allowed else ""


@dataclass(frozen=True)
class Signature:
    """The keyword-only parameters of a block: its options, and the default class of each of its slots."""

    options: dict[str, Option]
    slots: dict[str, str]


@dataclass(frozen=True)
class _Annotation:
    types: tuple[str, ...] = ()
    allowed: tuple[Any, ...] | None = None
    is_list: bool = False
    or_one: bool = False


class _NotUnderstoodError(Exception):
    """An annotation or a default is outside what the reader knows."""


def read_signature(node: ast.ClassDef | ast.FunctionDef, place: str) -> Signature:
    """Read the keyword-only parameters of a function, or of the `__init__` of a class.

    Raises:
        CatalogueError: if an annotation or a default is not understood.
    """
    function = _function(node)
    options: dict[str, Option] = {}
    slots: dict[str, str] = {}
    if function is None:
        return Signature(options, slots)
    arguments = function.args
    if arguments.kwarg is not None:
        raise CatalogueError(
            f"{place}:{arguments.kwarg.lineno}: {node.name}: parameter {arguments.kwarg.arg!r}: "
            "`**` would swallow misspelt options"
        )
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        try:
            if isinstance(argument.annotation, ast.Name) and argument.annotation.id.startswith("Make"):
                slots[argument.arg] = _default_class(default)
            else:
                options[argument.arg] = _option(argument, default)
        except _NotUnderstoodError as error:
            line = f"{place}:{argument.lineno}: {node.name}: parameter {argument.arg!r}"
            raise CatalogueError(f"{line}: {error}") from None
    return Signature(options, slots)


def literals(pairs: Mapping[str, ast.expr]) -> dict[str, Any]:
    """Return the values of named expressions.

    Raises:
        ValueError: if one is not a literal.
    """
    return {name: ast.literal_eval(value) for name, value in pairs.items()}


def _shown(value: object) -> str:
    return "none" if value is None else str(value)


def _function(node: ast.ClassDef | ast.FunctionDef) -> ast.FunctionDef | None:
    if isinstance(node, ast.FunctionDef):
        return node
    return next((item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"), None)


def _default_class(default: ast.expr | None) -> str:
    if not isinstance(default, ast.Name):
        raise _NotUnderstoodError("a slot needs a registered class as its default")
    return default.id


def _option(argument: ast.arg, default: ast.expr | None) -> Option:
    if argument.annotation is None:
        raise _NotUnderstoodError("it has no annotation")
    read = _annotation(argument.annotation)
    option = Option(argument.arg, **vars(read), required=default is None)
    if default is None:
        return option
    try:
        value = ast.literal_eval(default)
    except ValueError:
        raise _NotUnderstoodError(f"default {ast.unparse(default)!r} is not a literal") from None
    if wrong := option.check(value):
        raise _NotUnderstoodError(f"default does not fit: {wrong}")
    return replace(option, default=value)


def _annotation(node: ast.expr) -> _Annotation:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(_annotation(node.left), _annotation(node.right), ast.unparse(node))
    if isinstance(node, ast.Constant) and node.value is None:
        return _Annotation(("none",))
    if isinstance(node, ast.Name) and node.id in TYPES:
        return _Annotation((node.id,))
    if isinstance(node, ast.Subscript):
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if ast.unparse(node.value) in ("Literal", "typing.Literal"):
            return _literal(items)
        if ast.unparse(node.value) == "tuple" and len(items) == 2 and ast.unparse(items[1]) == "...":
            item = _annotation(items[0])
            if not item.is_list and "none" not in item.types:
                return _Annotation(item.types, item.allowed, is_list=True)
    raise _NotUnderstoodError(f"annotation {ast.unparse(node)!r} is not one that a study can fill")


def _literal(items: list[ast.expr]) -> _Annotation:
    values = tuple(ast.literal_eval(item) for item in items)
    names = {kind: name for name, kind in TYPES.items()}
    return _Annotation(tuple(dict.fromkeys(names[type(value)] for value in values)), values)


def _union(left: _Annotation, right: _Annotation, text: str) -> _Annotation:
    """Join two alternatives; literals join only with None, a list with its item too: one, or one for each."""
    for one, other in ((left, right), (right, left)):
        if other.types == ("none",):
            allowed = None if one.allowed is None or one.is_list else (*one.allowed, None)
            return replace(one, types=(*one.types, "none"), allowed=allowed)
    if left.is_list != right.is_list and left.types == right.types and not (left.allowed or right.allowed):
        return _Annotation(left.types, is_list=True, or_one=True)
    if left.is_list or right.is_list or left.allowed or right.allowed:
        raise _NotUnderstoodError(f"annotation {text!r} mixes kinds that a study cannot tell apart")
    return _Annotation((*left.types, *right.types))

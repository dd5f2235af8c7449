"""Find what is registered for each slot, by reading source files and executing none of them."""

import ast
import functools
import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from blocks.catalogue.errors import CatalogueError, unknown
from blocks.catalogue.files import package_files, parse, reachable
from blocks.catalogue.signature import Option, literals, read_signature

T = TypeVar("T")
PAPER = re.compile(r"arXiv:|\b(CVPR|ECCV|ICCV|ICML|NeurIPS|NIPS|ICLR|BMVC|AAAI|WACV|Proceedings|JMLR|Nature)\b")


def register(slot: str, name: str, **facts: object) -> Callable[[T], T]:  # noqa: ARG001 - read from source, not run
    """Mark a class or function as a choice for `slot`; all arguments must be literals.

    The decorator returns what it decorates. The catalogue sees the mark by reading the source file.

    Args:
        slot: the slot that it fills.
        name: its name in a study.
        facts: what else one must know of it. Of a block: `smallest`, the smallest side of a map that its defaults take
            (1 if not given); `kernel`, the only kernel that a convolution takes; `stochastic=True` if it draws in
            training; `vmap=False` or `compile=False` if it does not run under `torch.func.vmap` or compile as one
            graph. Of a network: `task`; `misfits`, for each slot
            the choices that make no sense in it, each with the reason.
    """
    return lambda registered: registered


@dataclass(frozen=True)
class Entry:
    """One choice for one slot.

    Args:
        slot: the slot it fills.
        name: its name in a study.
        module: the module that defines it, dotted.
        attribute: its name in that module.
        path: the file of that module.
        options: its keyword-only parameters that take values.
        slots: its keyword-only parameters that take blocks (only networks have them), each with its default choice.
        facts: what else its registration says.
        doc: its docstring.
    """

    slot: str
    name: str
    module: str
    attribute: str
    path: Path
    options: dict[str, Option] = field(default_factory=dict, hash=False)
    slots: dict[str, str] = field(default_factory=dict, hash=False)
    facts: dict[str, Any] = field(default_factory=dict, hash=False)
    doc: str = field(default="", repr=False)

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    @property
    def paper(self) -> str:
        """The line of the docstring that cites the paper, "" if none does."""
        return next((line.strip() for line in self.doc.splitlines() if PAPER.search(line)), "")

    @property
    def departures(self) -> str:
        """What the docstring says of where it departs from the paper, "" if it says nothing."""
        _, _, rest = self.doc.partition("Departs from the paper: ")
        return " ".join(rest.partition("\n\n")[0].split())

    @property
    def misfits(self) -> dict[str, dict[str, str]]:
        """For each slot of a network the choices that make no sense in it, each with the reason."""
        found: dict[str, dict[str, str]] = self.facts.get("misfits", {})
        return found

    def load(self) -> Any:
        """Import the module and return the class or function."""
        return getattr(importlib.import_module(self.module), self.attribute)


class Catalogue:
    """All choices for all slots, by slot and name."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, dict[str, Entry]] = {}
        for entry in sorted(entries, key=lambda entry: (entry.slot, entry.name)):
            choices = self._entries.setdefault(entry.slot, {})
            if entry.name in choices:
                raise CatalogueError(
                    f"slot {entry.slot!r}: {entry.name!r} is registered twice: "
                    f"{choices[entry.name].attribute} in {choices[entry.name].path}, {entry.attribute} in {entry.path}"
                )
            choices[entry.name] = entry

    def find(self, slot: str, name: str) -> Entry:
        """Return the entry registered for `slot` under `name`.

        Raises:
            CatalogueError: if there is none.
        """
        if slot not in self._entries:
            raise CatalogueError(unknown("slot", slot, self.slots()))
        choices = self._entries[slot]
        if name not in choices:
            raise CatalogueError(unknown(f"choice for slot {slot!r}", name, choices))
        return choices[name]

    def names(self, slot: str) -> list[str]:
        """Return the names of all choices for a slot, sorted; none for a slot that nothing is registered for."""
        return list(self._entries.get(slot, {}))

    def slots(self) -> list[str]:
        """Return the names of all slots, sorted."""
        return list(self._entries)

    def entries(self, slot: str | None = None) -> list[Entry]:
        """Return all entries, or those of one slot, sorted."""
        return [entry for name, choices in self._entries.items() if slot in (None, name) for entry in choices.values()]

    def pairs(self) -> list[tuple[str, str]]:
        """Return (slot, name) of every entry, sorted."""
        return [(entry.slot, entry.name) for entry in self.entries()]


@dataclass(frozen=True)
class _Registration:
    slot: str
    name: str
    facts: dict[str, Any]
    module: str
    path: Path
    node: ast.ClassDef | ast.FunctionDef


@functools.cache
def read(*packages: str) -> Catalogue:
    """Read the catalogue of the named packages (default: `blocks`) from their source.

    Nothing is imported or executed, so a study can be checked before torch is loaded. The result is kept.

    Raises:
        CatalogueError: if a name is registered twice, or a registration or signature is not understood.
    """
    found = [
        registration
        for package in packages or ("blocks",)
        for module, path in package_files(package)
        for registration in _registrations(module, path)
    ]
    names = {(item.slot, item.node.name): item.name for item in found}
    return Catalogue(_entry(item, names) for item in found)


def sources(entry: Entry) -> tuple[Path, ...]:
    """Return the files that an entry's computation depends on: its own and, of its package and `blocks`, all it imports."""
    return reachable(entry.module, ("blocks", entry.module.rpartition(".")[0] or entry.module))


def _registrations(module: str, path: Path) -> Iterator[_Registration]:
    if "register(" not in path.read_text(encoding="utf-8"):
        return
    for node in parse(path).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) in ("register", "catalogue.register"):
                slot, name, facts = _arguments(mark, path)
                yield _Registration(slot, name, facts, module, path, node)


def _arguments(mark: ast.Call, path: Path) -> tuple[str, str, dict[str, Any]]:
    try:
        slot, name = (ast.literal_eval(argument) for argument in mark.args)
        facts = literals({keyword.arg or "**": keyword.value for keyword in mark.keywords})
    except ValueError:
        raise CatalogueError(
            f"{path}:{mark.lineno}: expected @register(slot, name, fact=...) with literals, not {ast.unparse(mark)}"
        ) from None
    return slot, name, facts


def _entry(item: _Registration, names: dict[tuple[str, str], str]) -> Entry:
    signature = read_signature(item.node, str(item.path))
    slots: dict[str, str] = {}
    for slot, default in signature.slots.items():
        if (slot, default) not in names:
            raise CatalogueError(
                f"{item.path}:{item.node.lineno}: {item.node.name}: parameter {slot!r}: "
                f"its default {default} is not registered for slot {slot!r}"
            )
        slots[slot] = names[slot, default]
    return Entry(
        slot=item.slot,
        name=item.name,
        module=item.module,
        attribute=item.node.name,
        path=item.path,
        options=signature.options,
        slots=slots,
        facts=item.facts,
        doc=ast.get_docstring(item.node) or "",
    )

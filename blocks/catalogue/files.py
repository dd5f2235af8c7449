"""Modules as files: where they lie, what they import, what they say apart from comments."""

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from blocks.catalogue.errors import CatalogueError


class Stamp(NamedTuple):
    """A file as it was when looked at: the key under which what was read from it is kept."""

    path: Path
    modified_ns: int
    size: int


class Imported(NamedTuple):
    """One imported name: `from module import name`, or `import module` where the name is empty."""

    module: str
    name: str
    bound_as: str


def module_file(module: str) -> Path | None:
    """Return the file of a module without importing it or any of its parents; None if there is none."""
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None:
        return None
    for root in spec.submodule_search_locations or ():
        place = Path(root, *rest)
        for candidate in (place / "__init__.py", place.with_suffix(".py")):
            if candidate.is_file():
                return candidate
    return None


def package_files(package: str) -> Iterator[tuple[str, Path]]:
    """Yield (module, file) for every module inside a package, by name, without importing any.

    Raises:
        CatalogueError: if there is no such package.
    """
    top, *rest = package.split(".")
    spec = importlib.util.find_spec(top)
    roots = [Path(root, *rest) for root in (spec.submodule_search_locations or () if spec else ())]
    if not any(root.is_dir() for root in roots):
        raise CatalogueError(f"no package {package!r} to read a catalogue from")
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)]), path


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        CatalogueError: if it is not Python.
    """
    try:
        return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        raise CatalogueError(f"{path}:{error.lineno}: {error.msg}") from None


def reachable(module: str, packages: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the files of a module and of all it imports from `packages`, however deep.

    A name that a package merely re-exports counts as an import of the module that defines it. The catalogue itself
    is left out: it describes the blocks and computes nothing in them.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or not _inside(name, packages) or _inside(name, ("blocks.catalogue",)):
            continue
        path = module_file(name)
        if path is not None:
            found[name] = path
            waiting.extend(_definer(item) for item in _imports(name, path) if _inside(item.module, packages))
    return tuple(sorted(found.values()))


def fingerprint(paths: Iterable[Path]) -> str:
    """Return a hash of what the files say; comments, docstrings, layout, order and place do not matter."""
    digests = sorted(_digest(_stamp(path)) for path in set(paths))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(path, status.st_mtime_ns, status.st_size)


def _imports(module: str, path: Path) -> tuple[Imported, ...]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _imports_of(_stamp(path), package)


@functools.cache
def _imports_of(stamp: Stamp, package: str) -> tuple[Imported, ...]:
    found: list[Imported] = []
    for node in ast.walk(parse(stamp.path)):
        if isinstance(node, ast.Import):
            found.extend(Imported(alias.name, "", alias.asname or alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # One dot is the package itself, each further dot one parent up.
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found.extend(Imported(source, alias.name, alias.asname or alias.name) for alias in node.names)
    return tuple(found)


def _definer(item: Imported) -> str:
    """Return the module that an import needs, seen through the re-exports of packages."""
    if item.name and module_file(f"{item.module}.{item.name}"):
        return f"{item.module}.{item.name}"
    path = module_file(item.module)
    if item.name and path is not None and path.name == "__init__.py":
        for inner in _imports(item.module, path):
            if inner.bound_as == item.name:
                return _definer(inner)
    return item.module


@functools.cache
def _digest(stamp: Stamp) -> str:
    tree = parse(stamp.path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            ast.get_docstring(node, clean=False) is not None
        ):
            del node.body[0]
    return hashlib.sha256(_canonical(tree).encode()).hexdigest()


def _canonical(node: object) -> str:
    """Return a tree as text; unlike `ast.dump` the same in every version of Python that has the same fields."""
    if isinstance(node, list):
        return f"[{', '.join(map(_canonical, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, _canonical(value)) for name, value in ast.iter_fields(node) if value is not None and value != [])
    return f"{type(node).__name__}({', '.join(f'{name}={value}' for name, value in fields)})"

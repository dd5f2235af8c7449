"""YAML → Study: every problem at once, each with its place, before torch is imported."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from ablate import design
from ablate.errors import StudyError
from ablate.grammar import whole
from ablate.grammar.plain import plain
from ablate.grammar.problems import Problems, hint, shown
from ablate.grammar.recipe import check_recipes
from ablate.grammar.whole import Document
from ablate.study import Study
from blocks.catalogue import unknown

STUDIES = next(
    folder for folder in (Path(__file__).with_name("studies"), Path(__file__).parents[1] / "studies") if folder.is_dir()
)
LATER = {"budget": "a cap on hours and runs"}
EXPECTED = {
    "network": "expected a name, or one name with its options",
    "data": "expected a name, or one name with its options",
    "slots": "expected slots, each with a list of choices",
    "reference": "expected a choice for each slot that it names",
    "design": "expected the name of a design, or one name with its details",
    "seeds": "expected a number of seeds, a list of them, or a rule such as {from: 2, to: 7, until: decided}",
    "calibration": "expected a list of pairs of labels",
    "match": "expected params or macs, or {by: params, show: both}",
    "recipe": "expected hyper-parameters with their values",
    "metric": "expected a name",
    "metrics": "expected a list of names",
}


FIELDS = tuple(Document.__dataclass_fields__)
STAND_IN = {"network": "", "data": "", "slots": {}}
TYPES = {
    "string_type": "expected words",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "dict_type": "expected keys with their values",
}


class _Loader(yaml.SafeLoader):
    """Safe YAML without what it silently makes of things: the last of two equal keys, 8 of 010, 90 of 1:30."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.mistakes: list[tuple[yaml.Mark, str]] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(None, None, "references to anchors are not read here: write it out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(None, None, "a key must be a plain word", key_node.start_mark)
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                self.mistakes.append((key_node.start_mark, f"{key_node.value!r} stands twice"))
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        whole_number = node.tag == "tag:yaml.org,2002:int"
        value: int | float = self.construct_yaml_int(node) if whole_number else self.construct_yaml_float(node)
        if (whole_number and not re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", node.value)) or ":" in node.value:
            message = f"YAML reads {node.value} as {value}: write {value}, or put it in quotes"
            self.mistakes.append((node.start_mark, message))
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def find_study(argument: str | Path) -> Path:
    """Return the file of a study given by its path, or by the name of one that comes with the package.

    Raises:
        StudyError: if there is neither.
    """
    path = Path(argument)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise StudyError([f"{path.as_posix():.60}: cannot be read: {error.strerror}"]) from None
    shipped = {file.stem: file for file in sorted(STUDIES.rglob("*.yml"))}
    if str(argument) in shipped:
        return shipped[str(argument)]
    known = sorted(shipped) + [file.as_posix() for file in sorted(Path("studies").glob("*.yml"))]
    raise StudyError([f"{path.as_posix()}: no such file; {unknown('study', str(argument), known)}"])


def read_study(argument: str | Path, *, own_training: bool = False) -> Study:
    """Read and check a study given by its path or by the name of one that comes with the package.

    Args:
        argument: the path or name.
        own_training: the user's own training function makes the scores, so a metric may have any name, if it says
            which direction is better: `metric: {psnr: {better: higher}}`.

    Raises:
        StudyError: naming every problem, each with its place.
    """
    path = find_study(argument)
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise StudyError([f"{path.as_posix()}: cannot be read as UTF-8 text: {error}"]) from None
    return parse_study(text, path=path, own_training=own_training)


def parse_study(text: str, *, path: Path, own_training: bool = False) -> Study:
    """Check the text of a study; `path` gives its name and stands in messages.

    Raises:
        StudyError: naming every problem, each with its place.
    """
    problems = Problems(path.as_posix())
    document, broken = _document(_content(text, problems), problems)
    study = whole.read(document, broken, problems, own_training=own_training)
    study = replace(study, name=path.stem if document.name is None else document.name, path=_place(path), text=text)
    _check_name(study.name, problems)
    problems.check()
    try:
        plan = design.plan(study)
    except StudyError as error:
        for problem in error.problems:
            problems.add("", problem)
    else:
        check_recipes(study, plan.settings, problems)
    problems.check()
    return study


def _place(path: Path) -> str:
    """Return where a study lies: in the package, below this folder, or anywhere."""
    resolved, home, shipped = path.resolve(), Path.cwd(), STUDIES.resolve()
    if resolved.is_relative_to(shipped) and not resolved.is_relative_to(home):
        return f"ablate:{resolved.relative_to(shipped).as_posix()}"
    return (resolved.relative_to(home) if resolved.is_relative_to(home) else resolved).as_posix()


def _check_name(name: str, problems: Problems) -> None:
    """Note a name that cannot be a folder's on every system."""
    devices = r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?"
    fits = re.fullmatch(r"[^/\\:*?\"<>|]{1,100}", name) and name.isprintable() and name == name.strip().rstrip(".")
    if not fits or re.fullmatch(devices, name, re.IGNORECASE):
        problems.add("name", f"{name!r} cannot name a folder")
    elif re.fullmatch(r"default|artifacts|mlflow\.db.*", name, re.IGNORECASE):
        problems.add("name", f"{name!r} is taken by the records themselves")


def _content(text: str, problems: Problems) -> dict[str, Any]:
    """Return what the YAML says.

    Raises:
        StudyError: if it is no YAML, or not keys with values.
    """
    loader = None
    content = None
    try:
        loader = _Loader(text)
        content = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        problems.add(_line(error.problem_mark), error.problem or "no YAML")
    except (yaml.YAMLError, ValueError) as error:
        problems.add("", f"no YAML: {' '.join(str(error).split())}")
    except RecursionError:
        problems.add("", "nested too deeply")
    for mark, message in sorted(loader.mistakes, key=lambda mistake: mistake[0].index) if loader else ():
        problems.add(_line(mark), message)
    if not isinstance(content, dict):
        if not problems:
            given = "nothing" if content is None else shown(content)
            problems.add("", f"expected keys such as network, data and slots, not {given}")
        problems.check()
    kept: dict[str, Any] = plain(content, problems)
    return kept


def _line(mark: yaml.Mark | None) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _document(content: Mapping[str, Any], problems: Problems) -> tuple[Document, frozenset[str]]:
    """Return the document with what can be used of it, and the keys that cannot."""
    for key in content:
        if key in LATER:
            problems.add(key, f"not in this version ({LATER[key]})")
        elif key not in FIELDS:
            problems.add(key, unknown("key", key, FIELDS))
    content = {key: value for key, value in content.items() if key in FIELDS}
    broken = {key for key in STAND_IN if key not in content}
    for key in sorted(broken):
        problems.add(key, "is missing")
    adapter = TypeAdapter(Document)
    try:
        adapter.validate_json(json.dumps({**STAND_IN, **content}))
    except ValidationError as error:
        broken |= _note(error, content, problems)
    usable = {key: value for key, value in content.items() if key not in broken}
    return adapter.validate_json(json.dumps({**STAND_IN, **usable})), frozenset(broken)


def _note(error: ValidationError, content: Mapping[str, Any], problems: Problems) -> set[str]:
    """Note each value of a wrong type where it stands, and return the keys that hold one."""
    found: dict[str, dict[str, str]] = {}
    for detail in error.errors():
        key, *rest = detail["loc"]
        place, given = str(key), content[str(key)]
        for step in rest:  # some steps name a place, others an alternative type
            if isinstance(given, list) and isinstance(step, int):
                place, given = f"{place}[{step}]", given[step]
            elif isinstance(given, dict) and step in given:
                place, given = f"{place}.{step}", given[str(step)]
        expected = EXPECTED.get(place) or TYPES.get(detail["type"]) or detail["msg"].lower()
        message = f"{expected}; given {shown(given)}{hint(given)}"
        if detail["type"] == "literal_error":
            message = unknown(place, given, re.findall(r"'(.*?)'", detail["ctx"]["expected"])) + hint(given)
        found.setdefault(str(key), {}).setdefault(place, message)
    for places in found.values():
        for place, message in places.items():
            # An alternative that reached further in is the one that was meant.
            if not any(other != place and other.startswith(place) for other in places):
                problems.add(place, message)
    return set(found)

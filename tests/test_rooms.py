"""The rooms of the package: which may import which, and what their maps say."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

import sklearn_mlp

PACKAGE = Path(sklearn_mlp.__file__).parent

# A room may import from those of the lines above its own, and not from its neighbours on the line.
STOREYS = [
    {"machine", "callbacks"},
    {"losses", "ranks", "arrays"},
    {"targets", "sources"},
    {"data"},
    {"network"},
    {"contract"},
    {"compiled", "export", "inspection"},
    {"solvers", "steps"},
    {"training"},
    {"skorch_backend"},
    {"estimators"},
    {"many", "tabular"},
    {"search"},
]
ROOMS = {room: storey for storey, rooms in enumerate(STOREYS) for room in rooms}


def imports(path):
    """Go through the package's own modules that a file imports: (module, line) pairs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "sklearn_mlp":
                    yield alias.name.split(".")[1:], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            first, *rest = node.module.split(".")
            if first == "sklearn_mlp":
                for alias in node.names:
                    yield [*rest, alias.name], node.lineno


def modules():
    """Return all files of the rooms."""
    return sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))


def module_of(parts):
    """Return the file that a dotted name is, or is defined in."""
    for stop in range(len(parts), 0, -1):
        path = PACKAGE.joinpath(*parts[:stop])
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
        if (path / "__init__.py").is_file():
            return path / "__init__.py"
    return None


def told_by(text):
    """Return the names that a map has rows for: in backquotes, then two blanks and what it is."""
    rows = re.findall(r"^((?:`\w+`(?:, )?)+) {2,}", text, re.MULTILINE)
    return [name for row in rows for name in re.findall(r"\w+", row)]


def test_imports_go_downwards():
    wrong = []
    for path in modules():
        room = path.relative_to(PACKAGE).parts[0]
        for parts, line in imports(path):
            other = parts[0]
            if other not in ROOMS or other == room:
                continue
            if ROOMS[other] >= ROOMS[room]:
                wrong.append(f"{path.relative_to(PACKAGE.parent)}:{line}: {room} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_no_files_import_each_other_in_a_circle():
    graph = {path: {module_of(parts) for parts, _ in imports(path)} - {path} for path in modules()}
    seen, way = set(), []

    def visit(path):
        if path in way:
            circle = [*way[way.index(path) :], path]
            names = [str(one.relative_to(PACKAGE)) for one in circle]
            pytest.fail(" -> ".join(names))
        if path in seen or path not in graph:
            return
        way.append(path)
        for other in graph[path]:
            visit(other)
        way.pop()
        seen.add(path)

    for path in graph:
        visit(path)


def test_only_the_map_lies_on_the_ground_floor():
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py"}
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_rooms_map_names_all_of_its_files(room):
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
    names = {path.stem for path in (PACKAGE / room).glob("*.py")} - {"__init__"}
    assert set(told_by(text)) == names
    assert "May import" in text


def test_the_package_map_names_all_rooms():
    text = ast.get_docstring(ast.parse((PACKAGE / "__init__.py").read_text()))
    told = told_by(text)
    assert set(told) == set(ROOMS)
    # From the top downwards.
    assert all(ROOMS[one] >= ROOMS[other] for one, other in pairwise(told))

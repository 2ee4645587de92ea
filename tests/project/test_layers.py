"""The rooms of the package: a room imports only rooms below it, and TensorFlow stays in its own."""

import ast
from pathlib import Path

import pytest

SKAE = Path(__file__).parents[2] / "skae"
# From top to bottom.  The files skae/_*.py are the ground floor.
ROOMS = [
    "_outliers", "_imputation", "_estimators", "_interop", "_training", "_engine", "_objective",
    "_corruption", "_network", "_tables", "_rows", "ground floor",
]  # fmt: skip
BESIDE = {"_plot": {"ground floor"}, "datasets": {"_rows", "ground floor"}}
TENSORFLOW_ROOMS = {"_engine", "_interop"}
TENSORFLOW = {"tensorflow", "keras", "scikeras", "tf"}
LIMITS = {"files in skae": 8, "folders in skae": 13, "files in a folder": 12, "lines": 350}


def modules():
    return sorted(SKAE.rglob("*.py"))


def name_of(path):
    parts = path.relative_to(SKAE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Every module that a file imports, also in functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            yield from imported(node)


def imported(node):
    for alias in node.names:
        full = f"{node.module}.{alias.name}"
        is_module = full in KNOWN
        yield full if is_module else node.module


def room_of(module):
    """The room of a module of skae; None for ``skae`` itself and its demonstration."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in ("__init__", "__main__"):
        return None
    return parts[1] if (SKAE / parts[1]).is_dir() else "ground floor"


KNOWN = {name_of(path) for path in modules()}


def edges():
    """Pairs of modules of skae, the first of which imports the second."""
    for path in modules():
        for module in imports(path):
            if module.split(".")[0] == "skae":
                yield name_of(path), module


def test_rooms_import_downwards():
    wrong = []
    for module, other in edges():
        room, below = room_of(module), room_of(other)
        if room is None or room == below:
            continue
        allowed = BESIDE[room] if room in BESIDE else set(ROOMS[ROOMS.index(room) :])
        if below not in allowed:
            wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_no_import_cycle():
    """Deferred imports and those for types count as well."""
    graph = {name: set() for name in KNOWN}
    for module, other in edges():
        graph[module].add(other)
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for other in sorted(graph[module] - {module}):
            visit(other)
        done.add(path.pop())

    for module in sorted(graph):
        visit(module)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_tensorflow_stays_in_its_rooms(path):
    if room_of(name_of(path)) in TENSORFLOW_ROOMS:
        return
    found = {module for module in imports(path) if module.split(".")[0] in TENSORFLOW}
    names = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in TENSORFLOW
    }
    assert not found | names


def test_every_room_says_what_lives_there():
    for folder in filter(Path.is_dir, SKAE.rglob("*")):
        if folder.name != "__pycache__":
            text = (folder / "__init__.py").read_text(encoding="utf-8")
            assert len(ast.get_docstring(ast.parse(text))) > 20, folder


def test_sizes_stay_within_limits():
    files = [path for path in SKAE.iterdir() if path.is_file()]
    folders = [path for path in SKAE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(files) <= LIMITS["files in skae"]
    assert len(folders) <= LIMITS["folders in skae"]
    for folder in folders:
        for inner in (folder, *filter(Path.is_dir, folder.rglob("*"))):
            assert len([p for p in inner.iterdir() if p.is_file() and p.suffix == ".py"]) <= 12, (
                inner
            )
    long = {name_of(p): n for p in modules() if (n := len(p.read_text().splitlines())) > 350}
    assert long == {}

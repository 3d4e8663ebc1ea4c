"""The folder tree is the architecture: imports point one way, and a file fits in the head."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "hnca"
LEVELS = [
    {"units", "_graph", "baselines"},
    {"conditionals"},
    {"network"},
    {"messages", "joint_states"},
    {"objectives"},
    {"estimators"},
    {"exact", "variance", "training"},
    {"experiments", "data"},
    {"interruptions"},
    {"cli"},
    {"__main__"},
]
OUTSIDE_THE_CORE = {"experiments", "data", "interruptions", "cli", "__main__"}
PRESENTATION = {"rich", "tyro", "matplotlib"}


def part_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ([f"hnca.{alias.name}" for alias in node.names] if node.module == "hnca" else [node.module])


def modules():
    return [path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.name != "__init__.py"]


def test_every_part_has_a_level():
    assert {part_of(path) for path in modules()} == set.union(*LEVELS)


def test_imports_point_one_way():
    level = {part: height for height, parts in enumerate(LEVELS) for part in parts}
    for path in modules():
        part = part_of(path)
        for name in imports(path):
            if name.startswith("hnca.") and name.split(".")[1] != part:
                assert level[name.split(".")[1]] < level[part] or {part, name.split(".")[1]} == {
                    "experiments",
                    "data",
                }, f"{path.name} imports {name}"


def test_the_core_imports_no_console_plotting_or_data_code():
    for path in modules():
        if part_of(path) not in OUTSIDE_THE_CORE:
            found = {name.split(".")[0] for name in imports(path)} & PRESENTATION
            assert not found, f"{path.name} imports {found}"


def test_no_file_is_over_300_lines():
    root = SOURCE.parent.parent
    for path in [*SOURCE.rglob("*.py"), *(root / "tests").glob("*.py"), *(root / "benchmarks").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 300, path

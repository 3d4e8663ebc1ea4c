"""The folder tree is the architecture: imports point one way, and a file fits in the head."""

import ast
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "hnca"
CORE = [
    {"_graph", "_keys", "_names", "_options", "_optax", "_precision", "_warning"},
    {"_given"},
    {"units"},
    {"conditionals", "baselines"},
    {"network"},
    {"_network_arguments"},
    {"messages", "joint_states"},
    {"objectives"},
    {"estimators"},
    {"exact", "variance"},
    {"programs"},
]
LABORATORY = [
    {"files"},
    {"data", "method_rows", "sizes"},
    {"methods", "registry"},
    {"store", "settings"},
    {"auto_encoder", "optimisers"},
    {"experiment"},
    {"figures"},
    {"bandit", "completion", "vae", "report"},
    {"training", "trained"},
    {"runs", "timing"},
    {"comparison"},
    {"commands"},
]
LIGHT = {"jax", "jaxlib", "equinox", "optax", "jaxtyping", "numpy", "lazy_loader", "platformdirs"}
"""What the core may import, beside Python's own library."""


def part_of(path, root):
    return path.relative_to(root).parts[0].removesuffix(".py")


def imports(path):
    tree = ast.parse(path.read_text())
    # What only annotations need is imported by type checkers alone.
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ([f"hnca.{alias.name}" for alias in node.names] if node.module == "hnca" else [node.module])


def modules(root):
    return [path for path in root.rglob("*.py") if path.parent != root or path.name != "__init__.py"]


def check_levels(root, package, levels):
    level = {part: height for height, parts in enumerate(levels) for part in parts}
    for path in modules(root):
        part = part_of(path, root)
        for name in imports(path):
            if name.startswith(package) and (other := name.removeprefix(package).split(".")[0]) != part:
                assert level[other] < level[part], f"{path.name} imports {name}"


def test_every_part_has_a_level():
    assert {part_of(path, SOURCE) for path in modules(SOURCE)} == {*set.union(*CORE), "experiments", "__main__"}
    assert {part_of(path, SOURCE / "experiments") for path in modules(SOURCE / "experiments")} == set.union(*LABORATORY)


def test_imports_point_one_way():
    check_levels(SOURCE, "hnca.", [*CORE, {"experiments"}, {"__main__"}])
    check_levels(SOURCE / "experiments", "hnca.experiments.", LABORATORY)


def test_the_core_imports_next_to_nothing():
    core = [path for path in modules(SOURCE) if part_of(path, SOURCE) in set.union(*CORE)]
    for path in [SOURCE / "__init__.py", *core]:
        found = {name.split(".")[0] for name in imports(path)} - LIGHT - sys.stdlib_module_names - {"hnca"}
        assert not found, f"{path.name} imports {found}"


def test_no_file_is_over_300_lines():
    root = SOURCE.parent.parent
    for path in [*SOURCE.rglob("*.py"), *(root / "tests").glob("*.py"), *(root / "benchmarks").glob("*.py")]:
        assert len(path.read_text().splitlines()) <= 300, path

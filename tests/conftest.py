"""Strictness of the whole suite: annotations are checked, and ranks and dtypes are never promoted silently."""

import ast
import gc
import os
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from zlib import crc32

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tracing makes very many objects that are not garbage; looking for it as often as usual is a tenth of all the time.
gc.set_threshold(200_000, 20, 20)

import jax
import jaxtyping
import pytest

# Programs run once, and compiling them is a third of all the time: the compiler need not try hard. `.ci/run --thorough`
# has programs compiled as users' are.
FLAGS = ["--xla_backend_optimization_level=0"]
if (0, 10) <= jax.__version_info__ < (0, 11):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


def modules_of_public_names():
    """Returns the modules that define what a user calls, by their source alone: nothing is imported before the hook."""
    root = Path(find_spec("hnca").submodule_search_locations[0])
    stub = ast.parse((root / "__init__.pyi").read_text())
    public = {alias.asname for line in stub.body if isinstance(line, ast.ImportFrom) for alias in line.names}
    for path in root.rglob("*.py"):
        defined = {getattr(line, "name", None) for line in ast.parse(path.read_text()).body}
        parts = path.relative_to(root).with_suffix("").parts
        if defined & public or parts[0] in public:  # some are modules
            yield ".".join(["hnca", *parts])


# To check what is called inside as well takes as long again as half of the suite.
CHECKED = ["hnca"] if os.environ.get("HNCA_CHECK_TYPES") == "all" else sorted(modules_of_public_names())
jaxtyping.install_import_hook(CHECKED, "beartype.beartype")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of a long sweep every sixteenth case is run, and all by whoever has the time; other ones of each sweep."""
    from cases import VARIANTS

    sweeps = defaultdict(list)
    for item in items:
        found = getattr(item, "callspec", None)
        if found is None:
            continue
        if "exact" not in item.path.name and any(name in found.id for name in VARIANTS):
            item.add_marker(pytest.mark.thorough)
        elif item.get_closest_marker("sweep") and not item.get_closest_marker("thorough"):
            sweeps[item.nodeid.partition("[")[0]].append(item)
    for cases in sweeps.values():
        for place, item in enumerate(sorted(cases, key=lambda item: crc32(item.nodeid.encode()))):
            if place % 16:
                item.add_marker(pytest.mark.thorough)


@pytest.fixture(autouse=True, scope="session")
def shared_programs(tmp_path_factory, worker_id):
    """Thousands of small programs are compiled again and again: all processes share what one has compiled."""
    own = tmp_path_factory.getbasetemp()
    programs = str((own if worker_id == "master" else own.parent) / "programs")
    jax.config.update("jax_compilation_cache_dir", programs)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = programs
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    # For the processes that tests start, which train for a moment. (Set above, it would hold for the tests themselves.)
    os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    # Of every program that it loads jaxlib 0.10.1 writes a page; a pipe that is read at the end would be full by then.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


@pytest.fixture
def quick_compilation():
    """For programs that run once: the compiler need not try hard."""
    yield from hardly_optimised()


@pytest.fixture(scope="module")
def quick_compilation_of_module():
    """As `quick_compilation`, for what a module's tests share."""
    yield from hardly_optimised()


def hardly_optimised():
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def float64(quick_compilation):
    """Runs a test with JAX's default float being float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs():
    """Hundreds of small programs would otherwise fill the memory."""
    yield
    jax.clear_caches()

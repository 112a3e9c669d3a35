"""Guards of the architecture: layers, packages without cycles, a quick start, and stable exported names."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

import sentiment_batch

ROOT = Path(sentiment_batch.__file__).parent
HEAVY = {"torch", "transformers", "pandas", "pyarrow", "numpy", "sklearn", "tokenizers", "polars"}
PLUGINS = {
    *("sentiment_batch_delta", "sentiment_batch_excel", "sentiment_batch_ray", "sentiment_batch_sql"),
    *("openpyxl", "ray", "duckdb", "adbc_driver_manager", "deltalake"),
}
"""And what they bring."""


def modules() -> dict[str, Path]:
    """Every module by its dotted name below the package; the package itself is `__init__`."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1]) if parts[-1] == "__init__" and len(parts) > 1 else ".".join(parts)
        found[name] = path
    return found


MODULES = modules()


def layers() -> dict[str, int]:
    """The layer of each package and root module, as the package docstring draws them."""
    found: dict[str, int] = {}
    for line in (sentiment_batch.__doc__ or "").splitlines():
        head = re.match(r"    (\d) [a-z]+ +", line)
        if head is None:
            continue
        drawn = re.split(r" {3,}", line[head.end() :])[0]
        for name in drawn.split():
            name = name.rstrip("/")
            assert name in MODULES, f"the drawing names {name}, which is not there"
            assert name not in found, f"the drawing names {name} twice"
            found[name] = int(head[1])
    return found


LAYERS = layers()


def package(name: str) -> str:
    """The package or root module that a module belongs to."""
    return name.partition(".")[0]


def layer(name: str) -> int:
    return LAYERS[package(name)]


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module or name that a file imports, anywhere in it but under TYPE_CHECKING, with its line."""

    def visit(node: ast.AST) -> Iterator[tuple[str, int]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.orelse:
                yield from visit(child)
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively; write the whole name"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    yield from visit(ast.parse(path.read_text(encoding="utf-8")))


def own(imported: str) -> str | None:
    """The module of this package that `imported` names or lies in, None for those of others."""
    package, _, inner = imported.partition(".")
    if package != "sentiment_batch":
        return None
    while inner and inner not in MODULES:
        inner = inner.rpartition(".")[0]
    return inner or "__init__"


def foreign(name: str) -> set[str]:
    return {imported.partition(".")[0] for imported, _ in imports(MODULES[name])} - {"sentiment_batch"}


def packages_imported() -> dict[str, dict[str, list[str]]]:
    """For each package, the packages that it imports and where."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, path in MODULES.items():
        for imported, line in imports(path):
            target = own(imported)
            if target is not None and package(target) != package(name):
                found.setdefault(package(name), {}).setdefault(package(target), []).append(f"{path}:{line}")
    return found


def test_the_drawing_of_the_layers_was_read():
    assert set(LAYERS.values()) == {0, 1, 2, 3, 4, 5}
    assert (LAYERS["errors"], LAYERS["model"], LAYERS["data"], LAYERS["__init__"]) == (0, 3, 2, 5)


def test_every_package_and_root_module_has_a_layer():
    assert {package(name) for name in MODULES} == set(LAYERS)


def test_few_modules_lie_at_the_root():
    assert len(list(ROOT.glob("*.py"))) <= 13


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_only_go_down_the_layers(name):
    upward = [
        f"{MODULES[name]}:{line} imports {imported}"
        for imported, line in imports(MODULES[name])
        if (target := own(imported)) is not None and layer(target) > layer(name)
    ]
    assert upward == []


def test_no_two_packages_import_each_other():
    found = packages_imported()
    graph = {name: set(targets) - {"__init__"} for name, targets in found.items()}
    assert tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the cycle


@pytest.mark.parametrize("name", sorted(name for name in MODULES if layer(name) <= 2))
def test_layers_below_the_model_do_not_know_torch(name):
    assert foreign(name) & {"torch", "transformers", "huggingface_hub", "pandas", "polars", "click"} == set()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if layer(name) <= 1))
def test_the_lowest_layers_need_the_standard_library_only(name):
    allowed = sys.stdlib_module_names | ({"pluggy"} if layer(name) == 1 else set())
    allowed |= {"filelock", "fsspec"} if package(name) == "files" else set()
    assert foreign(name) - allowed == set()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if layer(name) == 5))
def test_entry_points_import_nothing_heavy_at_the_top(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    top = {
        alias.name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
    }
    assert top & HEAVY == set()


def test_only_the_model_package_knows_transformers():
    knowing = {package(name) for name in MODULES if foreign(name) & {"transformers", "huggingface_hub"}}
    assert knowing == {"model"}


def test_only_cli_knows_click_and_only_frames_knows_pandas():
    assert {name.partition(".")[0] for name in MODULES if "click" in foreign(name)} == {"cli"}
    assert {name.partition(".")[0] for name in MODULES if "pandas" in foreign(name)} == {"frames"}


def test_no_module_has_the_name_of_an_exported_function():
    assert {name.partition(".")[0] for name in MODULES} & set(sentiment_batch.__all__) == set()


@pytest.mark.parametrize("name", ["training", "scoring", "model", "evaluation", "explanation"])
def test_packages_of_jobs_import_nothing_themselves(name):
    assert list(imports(MODULES[name])) == []


def loaded_after(code: str, watched: set[str] = HEAVY) -> set[str]:
    """The heavy packages, or others that are watched, in `sys.modules` of a new process after `code`."""
    script = f"import sys\n{code}\nprint('LOADED', *sorted({watched!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines()[-1].split()[1:])


def command_line(*arguments: str) -> str:
    return (
        f"sys.argv = {['sentiment-batch', *arguments]!r}\nfrom sentiment_batch.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )


def test_the_check_of_loaded_packages_sees_a_heavy_one():
    assert loaded_after("import numpy") == {"numpy"}


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("train", "--help"), ("score", "--help"), ("-h",), ("doctor", "--help")]
)
def test_help_and_version_load_nothing_heavy(arguments):
    assert loaded_after(command_line(*arguments)) == set()


def test_a_run_over_built_in_formats_imports_no_plugin(tmp_path, tiny_model):
    (tmp_path / "a.csv").write_text("review\ngood\n")
    run = command_line("score", f"{tmp_path}/a.csv", f"{tmp_path}/b.parquet", "--model", str(tiny_model))
    assert loaded_after(run, PLUGINS) == set()
    assert (tmp_path / "b.parquet").exists()
    plugins = {name for name in PLUGINS if name.startswith("sentiment_batch_")}
    assert loaded_after(command_line("formats"), PLUGINS) == plugins  # they are installed, and would be seen


def test_importing_the_package_loads_nothing_heavy():
    code = "import sentiment_batch\ndir(sentiment_batch)\nsentiment_batch.__version__\nsentiment_batch.InputError"
    assert loaded_after(code) == set()


def test_exported_names_survive_the_import_of_every_submodule():
    before = {name: getattr(sentiment_batch, name) for name in sentiment_batch.__all__}
    for module in pkgutil.walk_packages([str(ROOT)], "sentiment_batch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name, value in before.items():
        assert getattr(sentiment_batch, name) == value
        assert not isinstance(value, ModuleType)
    for name in ("score", "train", "evaluate", "clear_cache"):
        assert inspect.isfunction(getattr(sentiment_batch, name))


@pytest.mark.parametrize("name", [name for name in sentiment_batch.__all__ if name != "__version__"])
def test_every_exported_name_says_what_it_is(name):
    assert len(inspect.getdoc(getattr(sentiment_batch, name)) or "") > 20


def test_every_exported_name_has_one_home_for_type_checkers_too():
    homes = {name: home for home, names in sentiment_batch._HOMES.items() for name in names}
    assert sorted([*homes, "__version__"]) == sorted(sentiment_batch.__all__) == dir(sentiment_batch)
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: (node.module or "").removeprefix("sentiment_batch.")
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == homes


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        sentiment_batch.scores  # noqa: B018


def test_the_package_runs_as_a_module():
    run = subprocess.run([sys.executable, "-m", "sentiment_batch", "--version"], capture_output=True, text=True)
    assert run.stdout.startswith("sentiment-batch, version ")


def test_plugins_use_nothing_but_what_is_public():
    used = set()
    for path in (ROOT.parents[1] / "plugins").glob("*/src/*/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sentiment_batch":
                used |= {f"{node.module}.{alias.name}" for alias in node.names}
    public = {f"sentiment_batch.{name}" for name in sentiment_batch.__all__}
    for module in ("sentiment_batch.reading", "sentiment_batch.writing"):
        public |= {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert used
    assert used <= public

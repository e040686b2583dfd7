"""The layout of the repository: a test file for each module, imports without cycles, nothing private."""

import ast
import doctest
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("qornn_hw", "rtl_gen", "sim", "boards")
LINKS = {"rtl_gen", "sim", "boards"}

# Modules without a test file of their name: a pattern, and where they are tested or why they need no test.
ELSEWHERE = (
    ("*/__init__.py", "names of a package"),
    ("qornn_hw/errors.py", "classes without behaviour"),
    ("qornn_hw/__main__.py", "test_cli_main.py runs it"),
    ("qornn_hw/ir/kinds.py", "names"),
    ("qornn_hw/cli/options.py", "declarations; test_cli_group.py reads the help"),
    ("qornn_hw/compiler/boot.py", "names"),
    ("qornn_hw/compiler/weight_store.py", "names"),
    ("qornn_hw/compiler/mac_settings.py", "a record of two settings"),
    ("qornn_hw/compiler/engine.py", "an interface"),
    ("qornn_hw/cells/cell.py", "an interface"),
    ("qornn_hw/cells/activations/shape.py", "an interface"),
    ("qornn_hw/link/physical.py", "an interface"),
    ("qornn_hw/compiler/network_sites.py", "test_compiler_engines_simple_sites.py"),
    ("qornn_hw/compiler/engines/tile/nodes.py", "records; test_compiler_engines_tile_tail_builder.py"),
    ("qornn_hw/compiler/engines/tile/stages.py", "test_compiler_engines_tile_layout.py"),
    ("qornn_hw/compiler/engines/tile/schedule.py", "test_rtl_gen_engines_tile_core.py measures all cycles"),
    ("qornn_hw/compiler/engines/tile/cost.py", "test_compiler_engines_tile_engine.py"),
    ("rtl_gen/engines/tile/logits.py", "test_rtl_gen_engines_tile_core.py plays whole cores"),
    ("rtl_gen/engines/tile/sequencer.py", "test_rtl_gen_engines_tile_core.py plays whole cores"),
    ("rtl_gen/engines/tile/slots.py", "test_rtl_gen_engines_tile_core.py plays whole cores"),
    ("rtl_gen/engines/tile/tail.py", "test_rtl_gen_engines_tile_core.py plays whole cores"),
    ("rtl_gen/engines/tile/totals.py", "test_rtl_gen_engines_tile_core.py plays whole cores"),
    ("sim/plan.py", "two names that a bench and its runner share"),
    ("rtl_gen/links/byte_streams.py", "an interface"),
    ("boards/device_family.py", "an interface"),
    ("boards/flow.py", "an interface; test_boards_devices_registry.py checks each family"),
    ("boards/clock_source.py", "an interface; test_boards_pll.py checks each source"),
    ("boards/icebreaker.py", "data; test_boards_registry.py checks each board"),
    ("boards/ice40_hx8k.py", "data; test_boards_registry.py checks each board"),
    ("boards/upduino.py", "data; test_boards_registry.py checks each board"),
    ("boards/tinyfpga_bx.py", "data; test_boards_registry.py checks each board"),
    ("boards/ulx3s.py", "data; test_boards_registry.py checks each board"),
    ("boards/colorlight_i5.py", "data; test_boards_registry.py checks each board"),
    ("boards/orangecrab.py", "data; test_boards_registry.py checks each board"),
    ("boards/tang_nano_9k.py", "data; test_boards_registry.py checks each board"),
    ("boards/gatemate_a1_evb.py", "data; test_boards_registry.py checks each board"),
    ("boards/devices/gatemate/platform.py", "test_boards_registry.py builds the platform of each board"),
    ("boards/devices/*/devices.py", "data; test_boards_registry.py checks each device"),
    ("boards/devices/*/family.py", "data; test_boards_devices_registry.py checks each family"),
    ("boards/devices/*/flow.py", "data; test_boards_toolchain.py and test_boards_build.py run each"),
    ("sim/core_bench.py", "runs inside a simulator: test_sim_core_simulation.py"),
    ("sim/link_bench.py", "runs inside a simulator: test_sim_link_simulation.py"),
    ("qornn_hw/ir/ops/add.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/answer.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/assign.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/diagonal.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/mod_relu.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/multiply.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/piecewise_linear.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/requantize.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/ir/ops/table.py", "test_ir_ops_tail.py has every element-wise operation"),
    ("qornn_hw/cells/activations/hardtanh.py", "test_cells_activations_registry.py goes through all of them"),
    ("qornn_hw/cells/activations/identity.py", "test_cells_activations_registry.py goes through all of them"),
    (
        "qornn_hw/cells/activations/kernel_form.py",
        "test_cells_activations_registry.py goes through all of them",
    ),
    ("qornn_hw/cells/activations/modrelu.py", "test_cells_activations_registry.py goes through all of them"),
    ("qornn_hw/cells/activations/relu.py", "test_cells_activations_registry.py goes through all of them"),
    ("qornn_hw/cells/fastgrnn.py", "test_cells_graph.py goes through all cells"),
    ("qornn_hw/cells/dense.py", "test_cells_registry.py and test_training_krylov.py"),
    ("qornn_hw/cells/gru.py", "test_cells_graph.py goes through all cells"),
    ("qornn_hw/cells/leaky.py", "test_cells_graph.py goes through all cells"),
    ("qornn_hw/cells/linear.py", "test_training_krylov.py"),
    ("qornn_hw/cells/lstm.py", "test_cells_graph.py goes through all cells"),
    ("qornn_hw/cells/min_gru.py", "test_cells_graph.py goes through all cells"),
    ("qornn_hw/cells/rnn.py", "test_cells_graph.py goes through all cells"),
    ("qornn_hw/importers/torch_layers.py", "test_importers_torch_import.py"),
    ("qornn_hw/importers/torch_modules.py", "test_importers_torch_import.py"),
    ("qornn_hw/importers/onnx_layers.py", "test_importers_onnx_import.py"),
    ("qornn_hw/importers/onnx_run.py", "test_importers_onnx_import.py"),
    ("qornn_hw/importers/keras_file.py", "test_importers_keras_import.py"),
    ("qornn_hw/importers/any_model.py", "test_api_network.py"),
    ("qornn_hw/importers/folding.py", "test_importers_any_stack.py"),
    ("qornn_hw/importers/imported.py", "test_importers_any_stack.py"),
    ("qornn_hw/importers/recurrent_weights.py", "test_importers_any_stack.py"),
    ("qornn_hw/link/uart/pin_driver.py", "test_sim_link_simulation.py"),
    ("qornn_hw/files/callable_network.py", "test_api_network.py"),
    ("qornn_hw/training/graph_backward.py", "test_training_graph_recurrence.py"),
    ("qornn_hw/training/graph_forward.py", "test_training_graph_recurrence.py"),
    ("qornn_hw/training/graph_functions.py", "test_training_graph_recurrence.py"),
    ("qornn_hw/training/graph_layout.py", "test_training_graph_recurrence.py"),
    ("qornn_hw/training/finetune_data.py", "test_training_finetune.py"),
    ("qornn_hw/training/task_options.py", "test_training_task_configs.py"),
    ("qornn_hw/training/stack_configs.py", "test_training_stack_stages.py"),
    ("qornn_hw/arguments.py", "test_quantization_arguments.py"),
    ("qornn_hw/quantization/float_model.py", "test_evaluation_evaluate.py"),
    ("qornn_hw/quantization/stack_quality.py", "test_quantization_quantize_stack.py"),
    ("qornn_hw/api/placed_netlist.py", "test_api_build.py"),
    ("qornn_hw/cli/sweep.py", "test_training_sweep.py"),
    ("qornn_hw/cli/finetune.py", "test_training_finetune.py"),
    ("qornn_hw/cli/reload.py", "test_boards_reload.py"),
    ("qornn_hw/cli/requantize.py", "test_cli_main.py"),
    ("sim/amaranth_bench.py", "test_sim_core_simulation.py and test_sim_export.py"),
    ("sim/export_texts.py", "test_sim_core_simulation.py and test_sim_export.py"),
    ("sim/netlist.py", "test_sim_core_simulation.py and test_sim_export.py"),
    ("sim/pauses.py", "test_sim_core_simulation.py and test_sim_export.py"),
    ("sim/sweep.py", "test_sim_core_simulation.py and test_sim_export.py"),
    ("boards/devices/*/cost.py", "test_compiler_estimate.py"),
    ("boards/devices/lut_ram_cost.py", "test_compiler_estimate.py"),
    ("boards/devices/*/pll.py", "test_boards_pll.py"),
    ("boards/devices/*/memory_cells.py", "test_boards_reload.py"),
    ("boards/memory_cells.py", "test_boards_reload.py"),
    ("boards/build_folder.py", "test_api_build.py and test_build_folder_faults.py"),
    ("boards/programmer.py", "test_cli_program.py"),
    ("boards/estimation.py", "test_cli_estimate.py and test_api_design.py"),
    ("boards/tables.py", "test_cli_estimate.py"),
    ("boards/virtual.py", "test_cli_simulate_board.py"),
    ("boards/buildable.py", "test_boards_build.py"),
    ("boards/netlist.py", "test_boards_build.py"),
    ("boards/top.py", "test_boards_build.py"),
    (
        "qornn_hw/compiler/*.py",
        "test_compiler_design.py, test_compiler_design_digest.py and test_rtl_gen_random_designs.py",
    ),
    ("rtl_gen/links/*.py", "test_rtl_gen_links_uart.py and test_sim_link_simulation.py"),
    ("rtl_gen/*.py", "test_rtl_gen_engines_lut_core.py and test_rtl_gen_random_designs.py"),
)


def modules() -> list[Path]:
    """Return every module of the packages, relative to the root; links are not followed."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if not (parts[0] == "qornn_hw" and parts[1] in LINKS):
                found.append(path.relative_to(ROOT))
    return found


def file_of(module: Path) -> str:
    """Return the name of the test file of a module."""
    parts = module.with_suffix("").parts
    return f"test_{'_'.join(parts[1:] if parts[0] == 'qornn_hw' else parts)}.py"


def untested() -> list[Path]:
    """Return the modules without a test file of their name."""
    return [m for m in modules() if not (ROOT / "tests" / file_of(m)).exists()]


def name_of(module: Path) -> str:
    """Return the name by which a module is imported."""
    parts = list(module.with_suffix("").parts)
    parts = parts if parts[0] == "qornn_hw" else ["qornn_hw", *parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules that a module imports, wherever; not what is there for types alone."""

    def of(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from of(child)

    return of(tree)


def sources() -> list[Path]:
    """Return every Python file of the repository, relative to the root."""
    return [
        *modules(),
        *(p.relative_to(ROOT) for d in ("tests", "benchmarks") for p in (ROOT / d).glob("*.py")),
    ]


def test_every_module_has_a_test_file_or_a_reason():
    """A module has a test file of its name, or stands in the table."""
    bare = [str(m) for m in untested() if not any(fnmatch(str(m), pattern) for pattern, _ in ELSEWHERE)]
    assert bare == []


@pytest.mark.parametrize(("pattern", "reason"), ELSEWHERE, ids=[pattern for pattern, _ in ELSEWHERE])
def test_reasons_are_true(pattern, reason):
    """Each line of the table is of a module that exists, and so do the test files that it names."""
    assert any(fnmatch(str(m), pattern) for m in modules())
    for name in re.findall(r"test_\w+\.py", reason):
        assert (ROOT / "tests" / name).is_file(), name


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return a cycle of a graph, the first node again at its end; empty where there is none.

    >>> cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    ['b', 'c', 'b']
    >>> cycle({"a": {"b"}, "b": set()})
    []
    """
    done: set[str] = set()

    def visit(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for after in sorted(graph.get(node, ())):
            if found := visit(after, [*path, node]):
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := visit(node, []))), [])


# An import inside a function that closes a circle: the engine makes the design that asks it for its plan.
LATE = {("qornn_hw.compiler.chain_engine", "qornn_hw.compiler.design")}


def test_no_cycles_of_imports():
    """No module imports itself through others, not even inside a function."""
    names = {name_of(m): m for m in modules()}
    graph = {
        name: {
            i
            for i in imported(ast.parse((ROOT / m).read_text()))
            if i in names and i not in (name, "qornn_hw")
        }
        for name, m in names.items()
    }
    for name, other in LATE:
        assert other in graph[name]
        graph[name].remove(other)
    assert cycle(graph) == []


def test_a_cycle_is_found():
    """A planted cycle is found."""
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c", "a"]


def test_scripts_do_not_import_each_other_in_a_circle():
    """The scripts of benchmarks import without cycles."""
    scripts = {p.stem: p for p in (ROOT / "benchmarks").glob("*.py")}
    graph = {
        name: {i for i in imported(ast.parse(p.read_text())) if i in scripts and i != name}
        for name, p in scripts.items()
    }
    assert cycle(graph) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("from amaranth._toolchain.yosys import find_yosys", True),
        ("import amaranth.hdl._ir", True),
        ("from amaranth.back import rtlil", False),
        ("from boards.board import Board", True),
        ("import sim", True),
        ("from qornn_hw.sim.stimuli import random_network", False),
    ],
)
def test_wrong_imports_are_found(line, wrong):
    """A private part of Amaranth, and a top-level package of this repository."""
    assert bool(wrong_imports(line)) is wrong


def wrong_imports(text: str) -> list[str]:
    """Return the imports of a source that no file may have."""
    found = []
    for name in imported(ast.parse(text)):
        parts = name.split(".")
        private = parts[0] == "amaranth" and any(part.startswith("_") for part in parts[1:])
        if private or parts[0] in LINKS:
            found.append(name)
    return found


def test_imports():
    """No file imports a private part of Amaranth, nor `boards`, `sim` or `rtl_gen` from the top."""
    found = {str(p): wrong_imports((ROOT / p).read_text()) for p in sources()}
    assert {p for p, names in found.items() if names} == set()


def options_in_messages(text: str) -> list[str]:
    """Return the options of the command line in the messages that a source raises.

    >>> options_in_messages('raise ValueError(f"--lanes must be {x}")')
    ['--lanes']
    >>> options_in_messages('run(["--lanes"])')
    []
    """
    return [
        option
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Raise)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", part.value)
    ]


# An option of dask, which the user types.
FOREIGN_OPTIONS = {"--nthreads"}


def test_a_library_never_speaks_of_options():
    """Messages outside the command line name arguments; the command line makes options of them."""
    for module in modules():
        if module.parts[:2] != ("qornn_hw", "cli"):
            assert set(options_in_messages((ROOT / module).read_text())) <= FOREIGN_OPTIONS, module
    assert options_in_messages('raise ValueError(f"--lanes must be {x}")') == ["--lanes"]


@pytest.mark.parametrize("path", sorted((ROOT / "qornn_hw/cli").glob("*.py")), ids=lambda path: path.name)
def test_commands_are_thin(path):
    """No function of the command line is longer than 60 lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def private_patches(text: str) -> list[str]:
    """Return the private members that a test replaces with ``setattr`` or ``patch``.

    >>> private_patches('monkeypatch.setattr(runner, "_find", None)')
    ['_find']
    >>> private_patches('monkeypatch.setattr("qornn_hw.boards.host._x", None); m.setattr(a, "b", 1)')
    ['_x']
    """
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setattr", "patch", "object"):
            for given in node.args[:2]:
                if isinstance(given, ast.Constant) and isinstance(given.value, str):
                    name = given.value.rpartition(".")[2]
                    found += [name] if name.startswith("_") and not name.startswith("__") else []
    return found


# Not yet: tests that replace private members.
PATCHING = {
    "test_boards_kept.py",
    "test_evaluation_evaluate.py",
    "test_importers_torch_import.py",
    "test_processes_child_process.py",
    "test_quantization_calibration.py",
    "test_quantization_grid_search.py",
    "test_quantization_requantize.py",
    "test_sim_runner.py",
    "test_tasks_mnist.py",
    "test_training_recurrence_gpu.py",
    "test_training_run.py",
    "test_training_sweep.py",
    "test_training_trainer.py",
}


def test_no_private_member_is_replaced():
    """A test replaces public members only."""
    found = {p.name for p in (ROOT / "tests").glob("*.py") if private_patches(p.read_text())}
    assert found <= PATCHING


def test_examples():
    """The examples of this file."""
    assert doctest.testmod(sys.modules[__name__]).failed == 0

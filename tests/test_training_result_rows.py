"""Rows of results: the identity of a run, the file after a crash, and the sizes in it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from networks import make_network

from qornn_hw.cells.elman_network import WeightBits
from qornn_hw.cells.hadamard import HadamardUnits
from qornn_hw.errors import FormatError, OutputError
from qornn_hw.quantization.quantize_stack import quantized_stack
from qornn_hw.quantization.stack import RealStack
from qornn_hw.training.result_rows import VERSION, Job, Results, factor_bits, kilobytes, latest, read_rows
from qornn_hw.training.task_configs import ArraysConfig, CopyConfig, MnistConfig


def test_head_holds_no_places():
    """The folder of the data and the file of arrays are of one machine and are in no row."""
    for config in (MnistConfig(data="/a/b"), ArraysConfig(task_file="/a/b/sums.npz")):
        job = Job(config)
        assert "/a" not in json.dumps(job.head())
    assert job.options["task_file"] == "sums.npz"
    assert Job(MnistConfig(data="/c")).digest == Job(MnistConfig(data="/a/b")).digest


def test_saving_now_and_then_is_not_of_the_run():
    """The save interval is in no command and has no influence on digest or row."""
    often, seldom = Job(CopyConfig(bits=4, checkpoint_minutes=1.0)), Job(CopyConfig(bits=4))
    assert often.command == seldom.command == "qornn-hw train copy --bits 4 -o model.pt"
    assert often.digest == seldom.digest
    assert often.matches(seldom.head()) and seldom.matches(often.head())
    assert replace(often, baseline="lstm").command == replace(seldom, baseline="lstm").command


def test_matches():
    """A row is of a run if command, version and all common options are the same."""
    job = Job(CopyConfig(bits=5, seed=2))
    row = job.head()
    assert job.matches(row) and job.matches(json.loads(json.dumps(row)))
    assert not Job(CopyConfig(bits=5, seed=3)).matches(row)
    assert not job.matches(row | {"version": VERSION + 1})
    assert not job.matches(row | {"config": row["config"] | {"hold": 0.5}})
    assert job.matches(row | {"config": row["config"] | {"of_another_time": 1}})
    assert not replace(job, baseline="lstm").matches(row)
    assert latest([row | {"x": 1}, row | {"x": 2}], job)["x"] == 2
    assert latest([], job) is None
    assert replace(job, widths=(8,)).digest == job.digest and replace(job, widths=(8,)).matches(row)
    with pytest.raises(FormatError, match="4 to 16 bits, not 3"):
        replace(job, widths=(8, 3))


def test_device_is_of_the_run():
    """A GPU gives another network, so its run has another command and digest."""
    here = Job(CopyConfig(bits=4))
    there = replace(here, device="cuda")
    assert there.command == "qornn-hw train copy --bits 4 --device cuda -o model.pt"
    assert there.digest != here.digest
    assert not here.matches(there.head()) and there.matches(there.head())


def test_torn_line_is_dropped(tmp_path):
    """An incomplete last line is dropped, and new rows follow the last complete one."""
    path = tmp_path / "new" / "r.jsonl"
    first, second = Job(CopyConfig(bits=4)).head(), Job(CopyConfig(bits=5)).head()
    with Results.open(path) as results:
        assert not results.torn and results.rows == []
        results.append(first)
    with path.open("a") as file:
        file.write(json.dumps(second)[:-7])
    assert read_rows(path) == [first]
    with Results.open(path) as results:
        assert results.torn and results.rows == [first]
        results.append(second)
        assert results.rows == [first, second]
    assert read_rows(path) == [first, second]
    with Results.open(path) as results:
        assert not results.torn


@pytest.mark.parametrize("line", ["[]", "{}", "{", '{"command": 1, "version": 1, "config": {}}', "\xff"])
def test_line_that_is_no_row_is_named(tmp_path, line):
    """A complete line that is not a row is refused with its number, and the file is not changed."""
    path = tmp_path / "r.jsonl"
    content = json.dumps(Job(CopyConfig()).head()).encode() + b"\n" + line.encode("latin1") + b"\n"
    path.write_bytes(content)
    with pytest.raises(FormatError, match="line 2 must be a row"):
        read_rows(path)
    with pytest.raises(FormatError, match="line 2 must be a row"), Results.open(path):
        pass
    assert path.read_bytes() == content


def test_file_is_for_one_sweep(tmp_path):
    """A second sweep on the same file is refused, and so is a folder in its place."""
    path = tmp_path / "r.jsonl"
    with Results.open(path), pytest.raises(OutputError, match="another sweep"), Results.open(path):
        pass
    with pytest.raises(OutputError, match="must be writable"), Results.open(tmp_path):
        pass
    with pytest.raises(OutputError, match="must be readable"):
        read_rows(tmp_path)
    assert read_rows(tmp_path / "none") == []


@pytest.mark.parametrize(
    "n, m, p, bits, expected",
    [(256, 10, 9, 3, 26.8), (256, 10, 9, 8, 69.8), (170, 1, 10, 4, 15.7), (170, 1, 10, 6, 23.2)],
)
def test_kilobytes(n, m, p, bits, expected):
    """Weights count at their bits, biases and initial states at 32, multipliers if they differ."""
    rng = np.random.default_rng(0)
    network = make_network(
        n, m, p,
        recurrent_weight=rng.integers(-2, 2, (n, n)),
        input_weight=rng.integers(-2, 2, (n, m)),
        output_weight=rng.integers(-2, 2, (p, n)),
        weight_bits=WeightBits(bits, bits, bits),
        initial_state=np.zeros(n, dtype=np.int64),
        multiplier=np.full(n, 200),
    )  # fmt: skip
    assert kilobytes(network) == pytest.approx(expected, abs=0.05)
    started = replace(network, initial_state=np.ones(n, dtype=np.int64))
    assert kilobytes(started) == kilobytes(network) + n / 256
    by_unit = replace(network, multiplier=np.where(np.arange(n) == 0, 300, 200))
    assert kilobytes(by_unit) == pytest.approx(kilobytes(network) + n * 9 / 8 / 1024)


def test_kilobytes_of_cells():
    """Signs count one bit, one factor for all units nothing, biases 32 bits."""
    rng = np.random.default_rng(0)
    cell = HadamardUnits.start(3, 16, rng)
    cell.bias[:] = rng.normal(size=16)
    stack = RealStack((cell,), rng.normal(size=(5, 16)), rng.normal(size=5), output_relu=True)
    network = quantized_stack(stack, rng.normal(size=(8, 6, 3)), weight_bits=4).network
    bits = 16 + 16 * 3 * 4 + 5 * 16 * 4 + 32 * (16 + 5)
    assert kilobytes(network) == pytest.approx(bits / 8 / 1024)
    started = replace(cell, initial=np.ones(16))
    network = quantized_stack(
        replace(stack, cells=(started,)), rng.normal(size=(8, 6, 3)), weight_bits=4
    ).network
    assert kilobytes(network) == pytest.approx((bits + 32 * 16) / 8 / 1024)


def test_factors_of_each_unit_count():
    """At the bits of the largest magnitude, where they differ."""
    assert factor_bits(np.array([5, -300, 7])) == 3 * 9
    assert factor_bits(np.array([-300, -300])) == 0

"""The table of metrics that ends a training."""

from qornn_hw.reports.metrics_table import metrics_table


def test_rows_and_columns():
    """A network a row, a metric a column, under a line on the test set; absent networks have no row."""
    metrics = {
        "task": "copy",
        "sequences": 1000,
        "blind_cross_entropy": 0.0204,
        "fake_quantized": {"cross_entropy": 1.25e-05, "recall_accuracy": 1.0},
        "integer": {"cross_entropy": 0.5},
    }
    assert metrics_table(metrics).splitlines() == [
        "test of copy: 1000 sequences; without any input: cross_entropy 0.0204",
        "                                    cross_entropy  recall_accuracy",
        "quantized weights, real states           1.25e-05                1",
        "integers, as the hardware computes            0.5                -",
    ]


def test_clipped_inputs_are_said():
    """Input entries that were clipped have a line of their own."""
    metrics = {"task": "arrays", "sequences": 5, "integer": {"mse": 1.0}, "clipped_inputs": 3}
    last = metrics_table(metrics).splitlines()[-1]
    assert last == "3 input entries of the test lie outside the input's format and were clipped"

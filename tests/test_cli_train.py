"""The command train: a model that loads."""

from qornn_hw.files.checkpoint import load_checkpoint


def test_training_command_writes_a_checkpoint(run, tmp_path):
    """`train copy` trains, measures and saves a model that loads."""
    out = tmp_path / "tiny.npz"
    options = ["--blank", "5", "--hidden", "6", "--iterations", "3", "--finetune-iterations", "2"]
    code, output, _ = run("train", "copy", *options, "-o", out)
    assert code == 0
    assert output.endswith(f"wrote {out}\n")
    made = load_checkpoint(out)
    assert made.network.hidden_size == 6
    # The command as typed, and the options that it comes to.
    assert made.provenance["command"] == f"qornn-hw train copy {' '.join(options)} -o {out}"
    assert made.provenance["options"].startswith("qornn-hw train copy --blank 5 ")

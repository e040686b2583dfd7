"""Published figures beside which docs/results.md puts its own, each with its source and its convention.

Nothing is here but what could be read in the source that is named. The result tables of the paper whose
method this is (arXiv:2402.04012) could not be: no figure is the paper's.
"""

from dataclasses import dataclass

__all__ = ["PUBLISHED", "SOURCES", "Published"]

SOURCES = {
    "V1": "abstract of arXiv:2402.04012v1",
    "V2": "abstract of arXiv:2402.04012v2",
    "SCI": "a machine-made summary of arXiv:2402.04012v2 (sciencestack)",
    "HC": "code and notebook of the same authors for the paper after it, github.com/deel-ai-papers/hadamRNN",
    "FG": "the FastGRNN paper, in github.com/microsoft/EdgeML",
    "LB": "figures seen on pages of leaderboards",
}


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
        group: the group of runs beside which it stands.
        what: the network.
        figure: as it was published.
        size: kB, where it was published.
        tag: its source, a key of :data:`SOURCES`.
        convention: what differs from how it is measured here.
        value: the figure in the unit of the group's metric, where a plot shows it.
    """

    group: str
    what: str
    figure: str
    size: float | None
    tag: str
    convention: str
    value: float | None = None


_LAST = "sequential, not permuted"

PUBLISHED = (
    Published(
        "copy", "a copy QORNN checkpoint, float activations", "9.11e-5", None, "HC",
        "a comment in the notebook, on a CPU (1.11e-4 on a GPU); bits and units are not said", 9.11e-5,
    ),
    Published(
        "copy", "HadamSSM, 512 units, float activations", "9.9e-8", None, "HC",
        "another kind of network; 1000 steps in all, 980 blanks, blind baseline 0.0208", 9.9e-8,
    ),
    Published(
        "copy", "HadamSSM, 512 units, 12-bit activations", "2.43e-5", None, "HC",
        "the same", 2.43e-5,
    ),
    *(
        Published("pixels", what, f"{accuracy:.2f} %", size, "FG", _LAST, accuracy / 100)
        for what, accuracy, size in (
            ("RNN", 94.10, 71), ("FastRNN", 96.44, 166), ("FastRNN, vector variant", 97.27, 44),
            ("FastGRNN-LSQ", 98.72, 71), ("FastGRNN, low-rank, sparse, byte", 98.20, 6),
            ("SpectralRNN", 97.70, 25), ("EURNN", 95.38, 64), ("oRNN", 97.20, 49),
            ("FactoredRNN", 94.60, 125), ("UGRNN", 97.29, 84), ("GRU", 98.70, 123), ("LSTM", 97.80, 265),
        )
    ),
    Published("pixels", "FastGRNN", "94.8 %", None, "LB", "permuted"),
    Published("pixels", "projUNN", "97 %", None, "LB", "permuted; the highest that was reported"),
)  # fmt: skip

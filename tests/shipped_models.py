"""The models in models/, by the version of their files."""

import json
from pathlib import Path

import numpy as np

MODELS = Path(__file__).parents[1] / "models"


def version(path: Path) -> int:
    """Return the version of a model file, from its header."""
    with np.load(path) as arrays:
        return int(json.loads(str(arrays["header"]))["version"])


VERSIONS = {path.stem: version(path) for path in sorted(MODELS.glob("*.npz"))}
# Networks of one Elman layer, with their float weights; and all others, as operations.
ELMAN = [stem for stem, found in VERSIONS.items() if found == 1]
GATED = [stem for stem, found in VERSIONS.items() if found == 2]

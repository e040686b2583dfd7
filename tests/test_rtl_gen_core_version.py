"""The version of the core: it must change with the gateware, because the digest of a design holds it."""

import hashlib

import amaranth
import pytest
from amaranth.back import rtlil
from random_designs import draw

from qornn_hw.compiler.design import CORE_VERSION
from qornn_hw.rtl_gen.engines import make_core

# Where this fails, the gateware of a core has changed: raise qornn_hw.compiler.design.CORE_VERSION and write
# both numbers here. Amaranth's RTLIL is that of one of its releases.
AMARANTH = "0.5.10"
VERSION = 1
RTLIL = "8c31e62e6914642feb91cc574403bd90b7863c0cbeb8380904b8be57e2136700"


@pytest.mark.skipif(amaranth.__version__ != AMARANTH, reason=f"the hash is of RTLIL by Amaranth {AMARANTH}")
def test_core_version_names_the_gateware():
    """The RTLIL of twelve random designs is that of the version."""
    found = hashlib.sha256()
    for seed in range(12):
        found.update(rtlil.convert(make_core(draw(seed, units=24)), emit_src=False).encode())
    assert (CORE_VERSION, found.hexdigest()) == (VERSION, RTLIL)

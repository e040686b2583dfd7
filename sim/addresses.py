"""Accesses beyond a memory's words, made visible in Amaranth's simulator, which reads 0 there.

A four-state simulator gives X for such a word, a block RAM the word of some other address.
"""

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Assert, Format, Fragment, MemoryInstance, Value

__all__ = ["check_addresses", "memories"]


def memories(fragment: Fragment, path: str = "top") -> Iterator[tuple[str, Fragment, MemoryInstance]]:
    """Yield ``(path, parent, memory)`` of every memory below an elaborated component."""
    for number, (child, name, _) in enumerate(fragment.subfragments):
        if isinstance(child, MemoryInstance):
            # A component that is a memory and little else calls it so.
            yield path if name == "memory" else f"{path}.{name}", fragment, child
        else:
            yield from memories(child, f"{path}.{name or number}")


def check_addresses(component: Any) -> Fragment:
    """Return ``component``, elaborated for simulation, with an assertion for each port of each memory.

    In every cycle the address of a read port must be below the memory's depth, and that of a write port in
    the cycles in which it writes. The simulator raises an AssertionError that names memory and address.
    """
    fragment: Fragment = Fragment.get(component, None)
    for path, parent, memory in memories(fragment):
        depth = memory._data.depth
        ports = [(port._addr, None) for port in memory._read_ports]
        ports += [(port._addr, port._en) for port in memory._write_ports]
        for address, enable in ports:
            if depth < 1 << len(address):
                parent.add_statements("sync", _assertion(path, depth, address, enable))
    return fragment


def _assertion(path: str, depth: int, address: Value, enable: Value | None) -> Assert:
    good = address < depth
    verb = "read" if enable is None else "written"
    if enable is not None:
        good |= ~enable.any()
    return Assert(
        good, Format(f"memory {path} must be {verb} at words 0 to {depth - 1}, not at {{}}", address)
    )

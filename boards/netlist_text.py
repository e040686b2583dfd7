"""Whether a netlist from a build folder is hardware alone.

A simulator runs what Verilog says: system tasks such as ``$fopen`` and ``$system`` reach the machine,
Verilator's ``$c`` is C++, an imported function is one of the C library, and a directive reads any file.
None of them is in what yosys writes of a placed design, nor in the models that a build adds.
"""

import re

__all__ = ["check_hardware_alone"]

# The order counts: in a comment, a string and an escaped name nothing else begins.
_TOKEN = re.compile(
    r"""
      //[^\n]* | /\*.*?\*/            # comments
    | "(?:[^"\\\n]|\\[^\n])*"         # strings
    | \\[^ \t\n]+                     # escaped names
    | '[sS]?[bodhBODH][0-9a-fA-FxXzZ_?]+ | [0-9][0-9_]*
    | (?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    | (?P<system>\$[A-Za-z0-9_$]*)
    | (?P<stray>[`"]|/\*)
    """,
    re.VERBOSE | re.DOTALL,
)
# They compute and do nothing else.
_HARMLESS = ("$signed", "$unsigned")
_KEYWORDS = frozenset(("bind", "config", "export", "extern", "import", "include", "library"))
# A simulator may see another end of a name at any other byte.
_FOREIGN = re.compile(r"[^\t\n -~]")


def check_hardware_alone(verilog: str) -> None:
    """Raise a ValueError if Verilog has anything but hardware; the message says which line has it."""
    if (foreign := _FOREIGN.search(verilog)) is not None:
        raise ValueError(f"line {_line(verilog, foreign.start())} has the character {foreign[0]!a}")
    for token in _TOKEN.finditer(verilog):
        word = token["word"]
        if word is not None and word not in _KEYWORDS:
            continue
        found = word or token["system"] or token["stray"]
        if found is not None and found not in _HARMLESS:
            raise ValueError(f"line {_line(verilog, token.start())} has {found[:60]}")


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1

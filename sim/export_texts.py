"""The texts of an exported core: bench, cocotb test, FuseSoC file, README; fields are named in braces."""

__all__ = ["BENCH", "COCOTB_MAKEFILE", "COCOTB_TEST", "FUSESOC", "KEYWORDS", "LINT_WAIVERS", "README"]

# What Verilator -Wall says of Verilog that a program wrote, and why it is as it should be.
LINT_WAIVERS = """\
/* verilator lint_off DECLFILENAME */ // all modules are in this one file
/* verilator lint_off PROCASSINIT */  // registers have initial values: an FPGA starts with them
/* verilator lint_off UNUSEDSIGNAL */ // the fields of a word have names, also those that nobody asks for
/* verilator lint_off VARHIDDEN */    // a memory is called like the instance that holds it
/* verilator lint_off WIDTHEXPAND */  // sums are exact: the narrower operand is extended, with its sign
/* verilator lint_off WIDTHTRUNC */   // bits that are dropped are proven not to matter
"""

BENCH = """\
// Plays vectors/inputs.hex into {name} and compares every hidden unit and every answer word with the integer
// model's: at full speed, then up to a reset in the midst of the work, and once more with pauses on both
// streams. From this folder:
//
//     {command}
//
// Prints PASS, or the first mismatches and FAIL, and then ends with an error.
`timescale 1ns/1ps
module {name}_tb;
  localparam WORDS = {words};  // input words
  localparam UNITS = {units};  // hidden units, of all steps
  localparam ANSWERS = {answers};  // answer words
  localparam HIDDEN = {hidden};  // hidden units of a step
  localparam ANSWER = {answer_words};  // words of an answer
  localparam CUT = {cut};  // hidden units after which the second play is cut off by a reset
  localparam QUIET = {quiet};  // cycles without any event after which the core is stuck
  localparam FLUSH = {flush};  // cycles in which words that nobody asked for would come
  localparam SHOWN = 10;  // mismatches that are printed before it stops

  reg clk = 1'b0;
  reg rst = 1'b1;
  reg i_valid = 1'b0;
  reg o_ready = 1'b0;
  reg [{i_high}:0] i_payload = 0;
  wire i_ready, o_valid, state_valid;
  wire [{o_high}:0] o_payload;
  wire [{u_high}:0] state_data;

  {name} dut (
    .clk(clk), .rst(rst),
    .i__payload(i_payload), .i__valid(i_valid), .i__ready(i_ready),
    .o__payload(o_payload), .o__valid(o_valid), .o__ready(o_ready),
    .state__valid(state_valid), .state__data(state_data){writes}
  );

  reg [{i_high}:0] inputs [0:WORDS-1];
  reg [{u_high}:0] units [0:UNITS-1];
  reg [{o_high}:0] answers [0:ANSWERS-1];

  integer word = 0;  // words that went in, units and answer words that came out, since the reset
  integer unit = 0;
  integer answer = 0;
  integer quiet = 0;
  integer cycle = 0;
  integer compared = 0;
  integer in_whole_plays = 0;  // compared in those that were not cut off
  integer mismatches = 0;
  reg pauses = 1'b0;
  reg taken = 1'b0;
  reg [15:0] noise = 16'hace1;  // a shift register with feedback, for the pauses

  always #5 clk = ~clk;

  // Between rising edges. A word that was offered stays until it is taken.
  always @(negedge clk) begin
    noise <= {{noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]}};
    if (rst) begin
      i_valid <= 1'b0;
      o_ready <= 1'b0;
    end else begin
      if (!i_valid || taken) begin
        i_valid <= word < WORDS && !(pauses && noise[1:0] != 2'd0);
        if (word < WORDS) i_payload <= inputs[word];
      end
      o_ready <= !(pauses && noise[7:6] != 2'd0);
    end
  end

  task wrong(input [6*8-1:0] what, input integer index, input integer of_step, input [63:0] expected,
             input [63:0] got);
    begin
      mismatches = mismatches + 1;
      $display("mismatch: %0s %0d of %0d: expected %h, got %h", what, index % of_step, index / of_step,
               expected, got);
    end
  endtask

  always @(posedge clk) begin
    cycle = cycle + 1;
    taken = 1'b0;
    if (!rst && mismatches < SHOWN) begin
      quiet = quiet + 1;
      if (i_valid && i_ready) begin
        taken = 1'b1;
        word = word + 1;
        quiet = 0;
      end
      if (state_valid !== 1'b0) begin
        if (unit >= UNITS) wrong("unit", unit, HIDDEN, 64'bx, state_data);
        else if (state_valid !== 1'b1 || state_data !== units[unit])
          wrong("unit", unit, HIDDEN, units[unit], state_data);
        unit = unit + 1;
        compared = compared + 1;
        quiet = 0;
      end
      if (o_ready && o_valid !== 1'b0) begin
        if (answer >= ANSWERS) wrong("answer", answer, ANSWER, 64'bx, o_payload);
        else if (o_valid !== 1'b1 || o_payload !== answers[answer])
          wrong("answer", answer, ANSWER, answers[answer], o_payload);
        answer = answer + 1;
        compared = compared + 1;
        quiet = 0;
      end
    end
  end

  // Up to the end of the vectors, or up to so many units, after which the next play begins with a reset.
  task play(input with_pauses, input integer last_unit);
    begin
      @(negedge clk) rst = 1'b1;
      pauses = with_pauses;
      repeat (2) @(negedge clk);
      word = 0;
      unit = 0;
      answer = 0;
      quiet = 0;
      cycle = 0;
      compared = in_whole_plays;
      rst = 1'b0;
      while ((word < WORDS || unit < UNITS || answer < ANSWERS) && unit < last_unit && quiet < QUIET
             && mismatches < SHOWN)
        @(negedge clk);
      if (unit < last_unit) finish(with_pauses);
      else if (mismatches == 0) $display("reset after %0d of %0d hidden units", unit, UNITS);
    end
  endtask

  task finish(input with_pauses);
    begin
      in_whole_plays = compared;
      if (mismatches == 0)
        $display("%0s: %0d steps in %0d cycles", with_pauses ? "with pauses" : "at full speed",
                 UNITS / HIDDEN, cycle);
      if (mismatches < SHOWN) repeat (FLUSH) @(negedge clk);
      if (mismatches == 0 && (word != WORDS || unit != UNITS || answer != ANSWERS)) begin
        mismatches = mismatches + 1;
        $display("mismatch: %0d words must go in, %0d units and %0d answer words come out, not %0d, %0d, %0d",
                 WORDS, UNITS, ANSWERS, word, unit, answer);
      end
    end
  endtask

  initial begin
    $readmemh("vectors/inputs.hex", inputs);
    $readmemh("vectors/units.hex", units);
    $readmemh("vectors/answers.hex", answers);
    play(1'b0, UNITS + 1);
    if (mismatches == 0) play(1'b0, CUT);
    if (mismatches == 0) play(1'b1, UNITS + 1);
    if (mismatches == 0) begin
      $display("PASS: %0d integers compared, 0 mismatches", compared);
      $finish;
    end else begin
      $display("FAIL: %0d integers compared, %0d mismatches", compared, mismatches);
      $fatal(1);
    end
  end
endmodule
"""

COCOTB_MAKEFILE = """\
# make               with Icarus Verilog; needs cocotb 2
# make SIM=verilator with Verilator
SIM ?= icarus
TOPLEVEL_LANG = verilog
VERILOG_SOURCES = $(CURDIR)/../{name}.v
COCOTB_TOPLEVEL = {name}
COCOTB_TEST_MODULES = test_{name}
include $(shell cocotb-config --makefiles)/Makefile.sim
"""

COCOTB_TEST = '''\
"""Plays ../vectors into {name} and compares every hidden unit and every answer word."""

import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly

VECTORS = Path(__file__).resolve().parent.parent / "vectors"
QUIET = {quiet}  # cycles without any event after which the core is stuck
FLUSH = {flush}  # cycles in which words that nobody asked for would come


def read(name):
    """Return the words of a file of vectors."""
    return [int(line, 16) for line in (VECTORS / name).read_text().split()]


async def play(dut, pause):
    """Reset, play all words, with pauses where ``pause()`` says so, and compare."""
    words, units, answers = read("inputs.hex"), read("units.hex"), read("answers.hex")
    Clock(dut.clk, 10, unit="ns").start()
    dut.rst.value, dut.i__valid.value, dut.o__ready.value = 1, 0, 0
    for _ in range(2):
        await FallingEdge(dut.clk)
    dut.rst.value = 0
    seen_units, seen_answers = [], []
    at = quiet = 0
    offered = False
    while quiet < (FLUSH if (at, len(seen_units)) == (len(words), len(units)) and
                   len(seen_answers) == len(answers) else QUIET):
        # What is set here, between rising edges, holds at the next one.
        if not offered and at < len(words) and not pause():
            dut.i__payload.value, offered = words[at], True
        ready = not pause()
        dut.i__valid.value, dut.o__ready.value = int(offered), int(ready)
        await ReadOnly()
        quiet += 1
        if offered and int(dut.i__ready.value):
            at, offered, quiet = at + 1, False, 0
        if int(dut.state__valid.value):
            seen_units.append(int(dut.state__data.value.to_unsigned()))
            quiet = 0
        if ready and int(dut.o__valid.value):
            seen_answers.append(int(dut.o__payload.value.to_unsigned()))
            quiet = 0
        await FallingEdge(dut.clk)
    assert at == len(words), f"{{len(words)}} words must go in, not {{at}}"
    assert seen_units == units, "hidden units must equal the integer model's"
    assert seen_answers == answers, "answers must equal the integer model's"


@cocotb.test()
async def at_full_speed(dut):
    """Inputs always there, answers always taken."""
    await play(dut, lambda: False)


@cocotb.test()
async def with_pauses(dut):
    """Pauses on both streams."""
    noise = random.Random(0)
    await play(dut, lambda: noise.random() < 0.5)
'''

FUSESOC = """\
CAPI=2:
name: {vlnv}
description: {description}

filesets:
  rtl:
    files:
      - {name}.v
    file_type: verilogSource
  bench:
    files:
      - {name}_tb.v: {{file_type: systemVerilogSource}}
      - vectors/inputs.hex: {{file_type: user, copyto: vectors/inputs.hex}}
      - vectors/units.hex: {{file_type: user, copyto: vectors/units.hex}}
      - vectors/answers.hex: {{file_type: user, copyto: vectors/answers.hex}}

targets:
  default: &default
    filesets: [rtl]
    toplevel: {name}
  sim:
    <<: *default
    description: The self-checking bench
    filesets: [rtl, bench]
    toplevel: {name}_tb
    default_tool: icarus
    tools:
      icarus:
        iverilog_options: [-g2012]
  lint:
    <<: *default
    description: Verilator's warnings, all of them
    default_tool: verilator
    tools:
      verilator:
        mode: lint-only
        verilator_options: [-Wall]
"""

README = """\
# {name}

{description}.
Engine `{engine}`, {products} a cycle. Written by qornn-hw {version}.

## Check it

    {command}

needs Icarus Verilog alone. It plays `vectors/` ({played}) at full speed, up to a
reset in the midst of the work, and with pauses, compares every hidden unit and every answer with the integer
model's, and prints PASS, or FAIL and ends with an error. The same in cocotb 2: `make -C cocotb`; in FuseSoC,
with this folder as a library: `fusesoc run --target=sim {vlnv}`.

## Files

| File | Content |
|---|---|
| `{name}.v` | the core: one file, top module `{name}`, Verilog-2001, no vendor's cells |
| `{name}_tb.v` | the self-checking bench |
| `vectors/` | inputs, hidden units and answers: words of the ports (`.hex`), integers (`vectors.json`) |
| `memories/` | what each memory starts with, a word a line; to read, the Verilog has it inside |
| `cocotb/` | the same check as a cocotb test |
| `{name}.core` | FuseSoC |

`verilator --lint-only -Wall {name}.v` is silent: what it says of generated Verilog is waived at the top of
the file, with reasons.

## Ports

{ports}
One clock. On both streams a word goes over in each cycle in which `valid` and `ready` are high at the rising
edge. A `valid` word stays as it is until it is taken, and `valid` never waits for `ready`.

- *In.* {words_in}
- *Out.* {words_out}
- *Sequences.* A step with the first-word mark starts from the initial state, as after a reset; without it the
  state goes on.
- *Latency*: {latency} from an input's last word to its answer's first, with nothing else under way.
- *Throughput*: a step each {pace} where both sides are always ready{bound}.

## Numbers

{numbers}
`docs/numerics.md` of qornn-hw defines every integer.

## Memories

| Memory | Words | Bits | Content |
|---|---|---|---|
{memories}
{notes}"""

# Of SystemVerilog (IEEE 1800-2017, Annex B), among them all of Verilog: no module can be called so.
KEYWORDS = frozenset(
    (
        "accept_on", "alias", "always", "always_comb", "always_ff", "always_latch", "and", "assert",
        "assign", "assume", "automatic", "before", "begin", "bind", "bins", "binsof", "bit",
        "break", "buf", "bufif0", "bufif1", "byte", "case", "casex", "casez", "cell", "chandle",
        "checker", "class", "clocking", "cmos", "config", "const", "constraint", "context",
        "continue", "cover", "covergroup", "coverpoint", "cross", "deassign", "default", "defparam",
        "design", "disable", "dist", "do", "edge", "else", "end", "endcase", "endchecker",
        "endclass", "endclocking", "endconfig", "endfunction", "endgenerate", "endgroup",
        "endinterface", "endmodule", "endpackage", "endprimitive", "endprogram", "endproperty",
        "endsequence", "endspecify", "endtable", "endtask", "enum", "event", "eventually", "expect",
        "export", "extends", "extern", "final", "first_match", "for", "force", "foreach", "forever",
        "fork", "forkjoin", "function", "generate", "genvar", "global", "highz0", "highz1", "if",
        "iff", "ifnone", "ignore_bins", "illegal_bins", "implements", "implies", "import", "incdir",
        "include", "initial", "inout", "input", "inside", "instance", "int", "integer",
        "interconnect", "interface", "intersect", "join", "join_any", "join_none", "large", "let",
        "liblist", "library", "local", "localparam", "logic", "longint", "macromodule", "matches",
        "medium", "modport", "module", "nand", "negedge", "nettype", "new", "nexttime", "nmos",
        "nor", "noshowcancelled", "not", "notif0", "notif1", "null", "or", "output", "package",
        "packed", "parameter", "pmos", "posedge", "primitive", "priority", "program", "property",
        "protected", "pull0", "pull1", "pulldown", "pullup", "pulsestyle_ondetect",
        "pulsestyle_onevent", "pure", "rand", "randc", "randcase", "randsequence", "rcmos", "real",
        "realtime", "ref", "reg", "reject_on", "release", "repeat", "restrict", "return", "rnmos",
        "rpmos", "rtran", "rtranif0", "rtranif1", "s_always", "s_eventually", "s_nexttime",
        "s_until", "s_until_with", "scalared", "sequence", "shortint", "shortreal", "showcancelled",
        "signed", "small", "soft", "solve", "specify", "specparam", "static", "string", "strong",
        "strong0", "strong1", "struct", "super", "supply0", "supply1", "sync_accept_on",
        "sync_reject_on", "table", "tagged", "task", "this", "throughout", "time", "timeprecision",
        "timeunit", "tran", "tranif0", "tranif1", "tri", "tri0", "tri1", "triand", "trior",
        "trireg", "type", "typedef", "union", "unique", "unique0", "unsigned", "until",
        "until_with", "untyped", "use", "uwire", "var", "vectored", "virtual", "void", "wait",
        "wait_order", "wand", "weak", "weak0", "weak1", "while", "wildcard", "wire", "with",
        "within", "wor", "xnor", "xor",
    )
)  # fmt: skip

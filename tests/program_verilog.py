"""A core of the simple engine as Verilog in Icarus, which has four states: no x may leave it."""

import subprocess

from program_bench import Segment

from qornn_hw.sim.runner import find_simulator

__all__ = ["play_verilog"]

# At the falling edge it sets what the core sees at the next rising edge, where it prints what happens.
BENCH = """
`timescale 1ns/1ps
module bench;
  reg clk = 0, rst = 1, i_valid = 0, o_ready = 0;
  reg [{word_bits}-1:0] words [0:{count}-1];
  reg [{word_bits}-1:0] word = 0;
  wire i_ready, o_valid, state_valid;
  wire [{answer_bits}:0] answer;
  wire [{state_bits}-1:0] state;
  integer at = 0, cycle = 0, quiet = 0, seed = {seed};
  {name} core (.clk(clk), .rst(rst), .i__payload(word), .i__valid(i_valid), .i__ready(i_ready),
    .o__payload(answer), .o__valid(o_valid), .o__ready(o_ready), .state__valid(state_valid),
    .state__data(state));
  always #5 clk = ~clk;
  initial $readmemh("words.hex", words);
  always @(posedge clk) begin
    cycle <= cycle + 1;
    if (rst) begin $display("R"); at = 0; quiet = 0; i_valid = 0; end
    else begin
      quiet = quiet + 1;
      if (^{{i_ready, o_valid, state_valid}} === 1'bx) $display("X %0d", cycle);
      if (i_valid && i_ready) begin $display("W %0d %0d", cycle, at); at = at + 1; i_valid = 0; quiet = 0; end
      if (o_valid && o_ready) begin $display("A %0d %b", cycle, answer); quiet = 0; end
      if (state_valid) begin $display("S %0d %b", cycle, state); quiet = 0; end
      if (at == {count} && i_ready && !o_valid && quiet > 3 && cycle > {end}) $finish;
      if (quiet > 100000) begin $display("Q"); $finish; end
    end
  end
  always @(negedge clk) begin
    rst = cycle < 1{resets};
    if (!i_valid && at < {count} && $unsigned($random(seed)) % 100 >= {idle}) i_valid = 1;
    if (i_valid) word = words[at];
    o_ready = $unsigned($random(seed)) % 100 >= {block};
  end
endmodule
"""


def play_verilog(folder, name, verilog, program, words, *, idle=0, block=0, resets=(), seed=1, cells=()):
    """Play words in the core ``name`` and return the segments, as :func:`program_bench.play` does.

    Args:
        folder: where its files go.
        name: of the core's module.
        verilog: the core.
        program: the core's.
        words: data, first, last.
        idle: per cent of the cycles in which no word is offered.
        block: per cent of the cycles in which no answer is taken.
        resets: cycles.
        seed: of the pauses.
        cells: files with the cells of a netlist.
    """
    bits, form = program.answer_bits, program.input_format
    codes = [
        d & (1 << form.bits) - 1 | first << form.bits | last << form.bits + 1 for d, first, last in words
    ]
    text = BENCH.format(
        word_bits=form.bits + 2,
        count=len(words),
        answer_bits=bits,
        state_bits=program.state_bits,
        seed=seed,
        name=name,
        end=max(resets, default=0),
        resets="".join(f" || cycle == {r}" for r in resets),
        idle=idle,
        block=block,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.hex").write_text("".join(f"{code:x}\n" for code in codes))
    (folder / "bench.v").write_text(text)
    (folder / "core.v").write_text(verilog)
    tools = find_simulator("icarus").folder
    compiler = [tools / "iverilog", "-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-o", "bench.vvp"]
    subprocess.run(
        [*compiler, "-s", "bench", "bench.v", "core.v", *cells], cwd=folder, check=True, capture_output=True
    )
    done = subprocess.run(
        [tools / "vvp", "-n", "bench.vvp"], cwd=folder, check=True, capture_output=True, text=True
    )
    return _segments(done.stdout, words, bits)


def _segments(printed, words, bits):
    segments = []
    for line in printed.splitlines():
        what, *rest = line.split()
        if what == "R":
            if segments:
                segments[-1].complete = False
            segments.append(Segment())
        elif what == "W":
            segments[-1].taken_at.append(int(rest[0]))
            segments[-1].words.append(words[int(rest[1])])
        elif what == "S":
            segments[-1].states.append(_signed(rest[1]))
        elif what == "A":
            segments[-1].answered_at.append(int(rest[0]))
            segments[-1].answers.append((_signed(rest[1][1:]), int(rest[1][0])))
        else:
            raise AssertionError(f"the bench says {line}")
    return segments


def _signed(text):
    return int(text, 2) - (int(text[0]) << len(text))

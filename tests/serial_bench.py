"""A netlist played through its UART pins by a bench in plain Verilog: bytes in, bytes out."""

import os
import subprocess

from qornn_hw.sim.runner import find_simulator

BENCH = """
`timescale 1ns/1ps
module bench;
  localparam CLOCKS = {clocks_per_bit};
  reg clock = 0;
  always #10 clock = ~clock;
  reg rx = 1;
  wire rx_pin = rx;
  wire clock_pin = clock;
  wire tx_pin, led_state, led_fault;
  {top} dut(.{clock}(clock_pin), .{rx}(rx_pin), .{tx}(tx_pin), .{led_state}(led_state),
    .{led_fault}(led_fault){flash_pins});
{flash}
  reg [7:0] data [0:{count}];
  integer i, b;
  initial begin
    $readmemh("sent.hex", data);
    repeat ({start}) @(negedge clock);
    for (i = 0; i < {count}; i = i + 1) begin
      rx = 0; repeat (CLOCKS) @(negedge clock);
      for (b = 0; b < 8; b = b + 1) begin rx = data[i][b]; repeat (CLOCKS) @(negedge clock); end
      rx = 1; repeat (CLOCKS) @(negedge clock);
    end
    repeat ({settle}) @(negedge clock);
    $display("led_fault %b", led_fault);
    $finish;
  end
  reg [7:0] got;
  integer k;
  initial begin
    repeat ({start} - 100) @(negedge clock);
    forever begin
      wait (tx_pin === 0);
      repeat (CLOCKS / 2) @(negedge clock);
      for (k = 0; k < 8; k = k + 1) begin repeat (CLOCKS) @(negedge clock); got[k] = tx_pin; end
      repeat (CLOCKS) @(negedge clock);
      $display("byte %h stop %b", got, tx_pin);
    end
  end
endmodule
"""


FLASH = """
  wire cs_n, sck, copi, wp_n, hold_n;
  reg cipo_value = 0;
  wire cipo = cipo_value;
  reg [7:0] content [0:{last}];
  initial $readmemh("flash.hex", content);
  reg awake = 0;
  reg [31:0] word;
  integer taken = 0, at = 0;
  always @(negedge cs_n) begin taken = 0; at = -1; end
  always @(posedge cs_n) if (taken == 8 && word[7:0] == 8'hab) awake = 1;
  always @(posedge sck) if (!cs_n && at < 0) begin
    word = {{word[30:0], copi}};
    taken = taken + 1;
    if (taken == 32 && awake && word[31:24] == 8'h03) at = 8 * (word[23:0] - {address});
  end
  always @(negedge sck) if (!cs_n && at >= 0) begin
    #3 cipo_value = content[at / 8][7 - at % 8];
    at = at + 1;
  end"""
FLASH_PINS = "".join(
    f", .spi_flash_1x_0__{pin}__io({wire})"
    for pin, wire in (
        ("cs", "cs_n"),
        ("clk", "sck"),
        ("copi", "copi"),
        ("cipo", "cipo"),
        ("wp", "wp_n"),
        ("hold", "hold_n"),
    )
)


def play(netlist, folder, sent, *, clocks_per_bit, start, settle=4000, lit="0", simulator=None, flash=None):
    """Send bytes to a netlist; return the bytes that it sends and whether its second LED is lit.

    The first byte comes after ``start`` cycles, beyond the reset. ``simulator`` is whichever is there, where
    None. ``flash`` is (address, content) of a serial flash.
    """
    text = BENCH.format(
        top=netlist.top,
        clocks_per_bit=clocks_per_bit,
        count=len(sent),
        settle=settle,
        start=start,
        flash="" if flash is None else FLASH.format(address=flash[0], last=len(flash[1])),
        flash_pins="" if flash is None else FLASH_PINS,
        **netlist.ports,
    )
    if flash is not None:
        (folder / "flash.hex").write_text("\n".join(f"{b:02x}" for b in [*flash[1], 0xFF]) + "\n")
    (folder / "bench.v").write_text(text)
    (folder / "sent.hex").write_text("\n".join(f"{b:02x}" for b in [*sent, 0]) + "\n")
    defines = [f"-D{k}={v}" for k, v in netlist.defines.items()]
    sources = [*defines, "bench.v", *map(str, netlist.sources)]
    simulator = find_simulator(simulator)
    if simulator.name == "icarus":
        compiler = ["iverilog", "-g2005", "-o", "bench.vvp", "-s", "bench"]
        command = ["vvp", "bench.vvp"]
    else:
        options = ["--binary", "--timing", "-Wno-fatal", "--timescale", "1ns/1ps", "--top-module", "bench"]
        # The wheel does not know how a compiler is told of coroutines, which delays need.
        options += ["-CFLAGS", "-std=gnu++20 -fcoroutines"]
        compiler = [str(simulator.folder / "verilator"), *options]
        command = ["obj_dir/Vbench"]
    environment = os.environ | {"MAKEFLAGS": simulator.makeflags}
    compiled = subprocess.run(
        [*compiler, *sources], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr
    run = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    got = bytearray()
    led = None
    for line in run.stdout.splitlines():
        words = line.split()
        if words[:1] == ["byte"]:
            assert words[3] == "1", f"bad stop bit: {line}"
            got.append(int(words[1], 16))
        elif words[:1] == ["led_fault"]:
            led = words[1]
    return bytes(got), led == lit

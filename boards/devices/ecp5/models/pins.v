// The PLL and the pins of the ECP5, for a simulation of a board's pins.

// In simulation the clock pin is driven at the PLL's output frequency and the PLL passes it on; the lock comes
// late, as in hardware.
module qornn_ehxplll (
    CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PLLWAKESYNC, ENCLKOP, ENCLKOS,
    CLKOP, CLKOS, LOCK);
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 8, CLKOS_DIV = 8, CLKOP_CPHASE = 0, CLKOS_CPHASE = 0;
  parameter PLLRST_ENA = "", INTFB_WAKE = "", STDBY_ENABLE = "", DPHASE_SOURCE = "", OUTDIVIDER_MUXA = "";
  parameter OUTDIVIDER_MUXB = "", CLKOP_ENABLE = "", CLKOS_ENABLE = "", FEEDBK_PATH = "";
  input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PLLWAKESYNC, ENCLKOP, ENCLKOS;
  output CLKOP, CLKOS, LOCK;
  reg [3:0] cycles = 4'd0;
  always @(posedge CLKI) if (!LOCK) cycles <= cycles + 4'd1;
  assign LOCK = cycles == 4'd15;
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
endmodule

// Yosys makes each pin of the top an input or an output, and Verilator wants the model's to be one, too.
module qornn_trellis_io_input (B, O);
  parameter DIR = "INPUT";
  input B;
  output O;
  assign O = B;
endmodule

module qornn_trellis_io_output (B, I, T);
  parameter DIR = "OUTPUT";
  output B;
  input I, T;
  assign B = T ? 1'bz : I;
endmodule

// The pins before synthesis.
module qornn_ib (I, O);
  input I;
  output O;
  assign O = I;
endmodule

module qornn_obz (O, I, T);
  output O;
  input I, T;
  assign O = T ? 1'bz : I;
endmodule

// The PLLs and the pins of the iCE40, for a simulation of a board's pins.

// Yosys has an empty module for the PLL. In simulation the clock pin is driven at the PLL's output frequency
// and the PLL passes it on; the lock comes late, as in hardware.
module qornn_ice40_lock (clk, reset_n, lock);
  input clk, reset_n;
  output lock;
  reg [3:0] cycles = 4'd0;
  always @(posedge clk)
    if (!reset_n) cycles <= 4'd0;
    else if (!lock) cycles <= cycles + 4'd1;
  assign lock = cycles == 4'd15;
endmodule

module qornn_sb_pll40_pad (PACKAGEPIN, PLLOUTGLOBAL, PLLOUTCORE, LOCK, RESETB, BYPASS);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 4'd0;
  parameter [6:0] DIVF = 7'd0;
  parameter [2:0] DIVQ = 3'd0;
  parameter [2:0] FILTER_RANGE = 3'd0;
  input PACKAGEPIN;
  output PLLOUTGLOBAL, PLLOUTCORE, LOCK;
  input RESETB, BYPASS;
  qornn_ice40_lock locking (.clk(PACKAGEPIN), .reset_n(RESETB), .lock(LOCK));
  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign PLLOUTCORE = PACKAGEPIN;
endmodule

module qornn_sb_pll40_core (REFERENCECLK, PLLOUTGLOBAL, PLLOUTCORE, LOCK, RESETB, BYPASS);
  parameter FEEDBACK_PATH = "SIMPLE";
  parameter [3:0] DIVR = 4'd0;
  parameter [6:0] DIVF = 7'd0;
  parameter [2:0] DIVQ = 3'd0;
  parameter [2:0] FILTER_RANGE = 3'd0;
  input REFERENCECLK;
  output PLLOUTGLOBAL, PLLOUTCORE, LOCK;
  input RESETB, BYPASS;
  qornn_ice40_lock locking (.clk(REFERENCECLK), .reset_n(RESETB), .lock(LOCK));
  assign PLLOUTGLOBAL = REFERENCECLK;
  assign PLLOUTCORE = REFERENCECLK;
endmodule

// The model of the pins that yosys has asks whether its clock enable floats, which Verilator cannot simulate.
// This one has what the boards' pins use: PIN_TYPE 000001 is an input, 1010xx an output with enable (Lattice
// FPGA-TN-02020, iCE40 technology library). Logic, memories and multipliers keep the vendor's models.
module qornn_sb_io (
    PACKAGE_PIN, CLOCK_ENABLE, OUTPUT_ENABLE, D_OUT_0, D_IN_0, GLOBAL_BUFFER_OUTPUT);
  parameter [5:0] PIN_TYPE = 6'd0;
  parameter IO_STANDARD = "";
  parameter PULLUP = 0;
  inout PACKAGE_PIN;
  input CLOCK_ENABLE, OUTPUT_ENABLE, D_OUT_0;
  output D_IN_0, GLOBAL_BUFFER_OUTPUT;
  assign D_IN_0 = PACKAGE_PIN;
  assign GLOBAL_BUFFER_OUTPUT = PACKAGE_PIN;
  generate
    if (PIN_TYPE[5:2] == 4'b1010) assign PACKAGE_PIN = OUTPUT_ENABLE ? D_OUT_0 : 1'bz;
    else if (PIN_TYPE != 6'b000001) unknown_pin_type unsupported();
  endgenerate
endmodule

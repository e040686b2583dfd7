// The PLL of a GW1NR-9C, for a simulation of a board's pins. The clock pin is driven at the PLL's output
// frequency and the PLL passes it on; the lock comes late, as in hardware.
module qornn_rpll (
    CLKIN, CLKFB, RESET, RESET_P, FBDSEL, IDSEL, ODSEL, PSDA, DUTYDA, FDLY, CLKOUT, CLKOUTP, CLKOUTD, CLKOUTD3,
    LOCK);
  parameter FCLKIN = "", DEVICE = "", CLKFB_SEL = "";
  parameter IDIV_SEL = 0, FBDIV_SEL = 0, ODIV_SEL = 8;
  input CLKIN, CLKFB, RESET, RESET_P;
  input [5:0] FBDSEL, IDSEL, ODSEL;
  input [3:0] PSDA, DUTYDA, FDLY;
  output CLKOUT, CLKOUTP, CLKOUTD, CLKOUTD3, LOCK;
  reg [3:0] cycles = 4'd0;
  always @(posedge CLKIN) if (!LOCK) cycles <= cycles + 4'd1;
  assign LOCK = cycles == 4'd15;
  assign CLKOUT = CLKIN;
  assign CLKOUTP = CLKIN;
  assign CLKOUTD = CLKIN;
  assign CLKOUTD3 = CLKIN;
endmodule

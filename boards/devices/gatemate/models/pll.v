// The PLL of the GateMate, for a simulation of a board's pins. The clock pin is driven at the PLL's output
// frequency and the PLL passes it on; the lock comes late, as in hardware.
module qornn_cc_pll (
    CLK_REF, CLK_FEEDBACK, USR_CLK_REF, USR_LOCKED_STDY_RST, USR_PLL_LOCKED_STDY, USR_PLL_LOCKED, CLK270, CLK180,
    CLK90, CLK0, CLK_REF_OUT);
  parameter REF_CLK = "", OUT_CLK = "", PERF_MD = "";
  parameter LOCK_REQ = 1, CLK270_DOUB = 0, CLK180_DOUB = 0, LOW_JITTER = 1;
  parameter CI_FILTER_CONST = 2, CP_FILTER_CONST = 4;
  input CLK_REF, CLK_FEEDBACK, USR_CLK_REF, USR_LOCKED_STDY_RST;
  output USR_PLL_LOCKED_STDY, USR_PLL_LOCKED, CLK270, CLK180, CLK90, CLK0, CLK_REF_OUT;
  reg [3:0] cycles = 4'd0;
  always @(posedge CLK_REF) if (!USR_PLL_LOCKED) cycles <= cycles + 4'd1;
  assign USR_PLL_LOCKED = cycles == 4'd15;
  assign USR_PLL_LOCKED_STDY = USR_PLL_LOCKED;
  assign CLK0 = CLK_REF;
  assign CLK_REF_OUT = CLK_REF;
endmodule

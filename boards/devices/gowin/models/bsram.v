// The block RAMs of Gowin, of which yosys has but the ports, in the modes that yosys makes use of: no output
// registers (Gowin UG285, BSRAM & SSRAM user guide).

// What all of them are: 2048 units of 9 bits, or of 8 for words of less than 9 bits, and two ports. A port of
// more than one unit has an enable for each unit in its lowest address bits. While a port writes, mode 0 keeps
// the last word, mode 1 passes on what is written, mode 2 gives what was there.
module qornn_bsram (
    clk0, enable0, write0, address0, data0, q0, clk1, enable1, write1, address1, data1, q1);
  parameter UNIT = 8, WIDTH0 = 8, WIDTH1 = 8, MODE0 = 2, MODE1 = 2;
  parameter [64 * 32 * UNIT - 1:0] INIT = 0;
  input clk0, enable0, write0, clk1, enable1, write1;
  input [13:0] address0, address1;
  input [4 * UNIT - 1:0] data0, data1;
  output reg [4 * UNIT - 1:0] q0, q1;
  reg [UNIT - 1:0] units [0:2047];
  wire [64 * 32 * UNIT - 1:0] init = INIT;
  integer i, i0, i1;
  initial for (i = 0; i < 2048; i = i + 1) units[i] = init[i * UNIT +: UNIT];
  always @(posedge clk0) if (enable0) begin
    if (!write0 || MODE0 == 2)
      case (WIDTH0)
        1: q0 <= units[address0[13:3]][address0[2:0]];
        2: q0 <= units[address0[13:3]][{address0[2:1], 1'b0} +: 2];
        4: q0 <= units[address0[13:3]][{address0[2], 2'b0} +: 4];
        UNIT: q0 <= units[address0[13:3]];
        2 * UNIT: q0 <= {units[{address0[13:4], 1'b1}], units[{address0[13:4], 1'b0}]};
        4 * UNIT: q0 <= {units[{address0[13:5], 2'd3}], units[{address0[13:5], 2'd2}],
            units[{address0[13:5], 2'd1}], units[{address0[13:5], 2'd0}]};
      endcase
    else if (MODE0 == 1) q0 <= data0;
    if (write0)
      case (WIDTH0)
        1: units[address0[13:3]][address0[2:0]] <= data0[0];
        2: units[address0[13:3]][{address0[2:1], 1'b0} +: 2] <= data0[1:0];
        4: units[address0[13:3]][{address0[2], 2'b0} +: 4] <= data0[3:0];
        UNIT: units[address0[13:3]] <= data0[0 +: UNIT];
        2 * UNIT: for (i0 = 0; i0 < 2; i0 = i0 + 1)
          if (address0[i0]) units[{address0[13:4], i0[0]}] <= data0[i0 * UNIT +: UNIT];
        4 * UNIT: for (i0 = 0; i0 < 4; i0 = i0 + 1)
          if (address0[i0]) units[{address0[13:5], i0[1:0]}] <= data0[i0 * UNIT +: UNIT];
      endcase
  end
  always @(posedge clk1) if (enable1) begin
    if (!write1 || MODE1 == 2)
      case (WIDTH1)
        1: q1 <= units[address1[13:3]][address1[2:0]];
        2: q1 <= units[address1[13:3]][{address1[2:1], 1'b0} +: 2];
        4: q1 <= units[address1[13:3]][{address1[2], 2'b0} +: 4];
        UNIT: q1 <= units[address1[13:3]];
        2 * UNIT: q1 <= {units[{address1[13:4], 1'b1}], units[{address1[13:4], 1'b0}]};
        4 * UNIT: q1 <= {units[{address1[13:5], 2'd3}], units[{address1[13:5], 2'd2}],
            units[{address1[13:5], 2'd1}], units[{address1[13:5], 2'd0}]};
      endcase
    else if (MODE1 == 1) q1 <= data1;
    if (write1)
      case (WIDTH1)
        1: units[address1[13:3]][address1[2:0]] <= data1[0];
        2: units[address1[13:3]][{address1[2:1], 1'b0} +: 2] <= data1[1:0];
        4: units[address1[13:3]][{address1[2], 2'b0} +: 4] <= data1[3:0];
        UNIT: units[address1[13:3]] <= data1[0 +: UNIT];
        2 * UNIT: for (i1 = 0; i1 < 2; i1 = i1 + 1)
          if (address1[i1]) units[{address1[13:4], i1[0]}] <= data1[i1 * UNIT +: UNIT];
        4 * UNIT: for (i1 = 0; i1 < 4; i1 = i1 + 1)
          if (address1[i1]) units[{address1[13:5], i1[1:0]}] <= data1[i1 * UNIT +: UNIT];
      endcase
  end
endmodule

// One port.
module qornn_sp (CE, CLK, RESET, WRE, DI, AD, DO, BLKSEL, OCE);
  parameter BIT_WIDTH = 32, WRITE_MODE = 0;
  parameter READ_MODE = 1'b0;
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [255:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
      INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
      INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
      INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
      INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
      INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
      INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
      INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
      INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
      INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
      INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  input CE, CLK, RESET, WRE, OCE;
  input [31:0] DI;
  input [13:0] AD;
  input [2:0] BLKSEL;
  output [31:0] DO;
  wire [31:0] q;
  qornn_bsram #(.UNIT(8), .WIDTH0(BIT_WIDTH), .MODE0(WRITE_MODE),
      .INIT({
          INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
          INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
          INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
          INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
          INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
          INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
          INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
          INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
          INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
          INIT_RAM_00}))
    ram (.clk0(CLK), .enable0(CE), .write0(WRE), .address0(AD), .data0(DI), .q0(q),
        .clk1(1'b0), .enable1(1'b0), .write1(1'b0), .address1(14'd0), .data1(32'd0), .q1());
  assign DO = RESET ? 32'd0 : q;
  generate
    if (READ_MODE || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule

// One port.
module qornn_spx9 (CE, CLK, RESET, WRE, DI, AD, DO, BLKSEL, OCE);
  parameter BIT_WIDTH = 36, WRITE_MODE = 0;
  parameter READ_MODE = 1'b0;
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [287:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
      INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
      INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
      INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
      INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
      INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
      INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
      INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
      INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
      INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
      INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  input CE, CLK, RESET, WRE, OCE;
  input [35:0] DI;
  input [13:0] AD;
  input [2:0] BLKSEL;
  output [35:0] DO;
  wire [35:0] q;
  qornn_bsram #(.UNIT(9), .WIDTH0(BIT_WIDTH), .MODE0(WRITE_MODE),
      .INIT({
          INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
          INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
          INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
          INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
          INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
          INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
          INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
          INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
          INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
          INIT_RAM_00}))
    ram (.clk0(CLK), .enable0(CE), .write0(WRE), .address0(AD), .data0(DI), .q0(q),
        .clk1(1'b0), .enable1(1'b0), .write1(1'b0), .address1(14'd0), .data1(36'd0), .q1());
  assign DO = RESET ? 36'd0 : q;
  generate
    if (READ_MODE || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule

// Port A writes, port B reads.
module qornn_sdpb (CEA, CEB, CLKA, CLKB, RESETA, RESETB, DI, ADA, ADB, DO, BLKSELA, BLKSELB, OCE);
  parameter BIT_WIDTH_0 = 32, BIT_WIDTH_1 = 32;
  parameter READ_MODE = 1'b0;
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [255:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
      INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
      INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
      INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
      INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
      INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
      INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
      INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
      INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
      INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
      INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  input CEA, CEB, CLKA, CLKB, RESETA, RESETB, OCE;
  input [31:0] DI;
  input [13:0] ADA, ADB;
  input [2:0] BLKSELA, BLKSELB;
  output [31:0] DO;
  wire [31:0] q;
  qornn_bsram #(.UNIT(8), .WIDTH0(BIT_WIDTH_0), .WIDTH1(BIT_WIDTH_1),
      .INIT({
          INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
          INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
          INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
          INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
          INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
          INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
          INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
          INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
          INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
          INIT_RAM_00}))
    ram (.clk0(CLKA), .enable0(CEA), .write0(1'b1), .address0(ADA), .data0(DI), .q0(),
        .clk1(CLKB), .enable1(CEB), .write1(1'b0), .address1(ADB), .data1(32'd0), .q1(q));
  assign DO = RESETB ? 32'd0 : q;
  generate
    if (READ_MODE || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule

// Port A writes, port B reads.
module qornn_sdpx9b (CEA, CEB, CLKA, CLKB, RESETA, RESETB, DI, ADA, ADB, DO, BLKSELA, BLKSELB, OCE);
  parameter BIT_WIDTH_0 = 36, BIT_WIDTH_1 = 36;
  parameter READ_MODE = 1'b0;
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [287:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
      INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
      INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
      INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
      INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
      INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
      INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
      INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
      INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
      INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
      INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  input CEA, CEB, CLKA, CLKB, RESETA, RESETB, OCE;
  input [35:0] DI;
  input [13:0] ADA, ADB;
  input [2:0] BLKSELA, BLKSELB;
  output [35:0] DO;
  wire [35:0] q;
  qornn_bsram #(.UNIT(9), .WIDTH0(BIT_WIDTH_0), .WIDTH1(BIT_WIDTH_1),
      .INIT({
          INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
          INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
          INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
          INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
          INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
          INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
          INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
          INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
          INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
          INIT_RAM_00}))
    ram (.clk0(CLKA), .enable0(CEA), .write0(1'b1), .address0(ADA), .data0(DI), .q0(),
        .clk1(CLKB), .enable1(CEB), .write1(1'b0), .address1(ADB), .data1(36'd0), .q1(q));
  assign DO = RESETB ? 36'd0 : q;
  generate
    if (READ_MODE || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule

// Two ports that read and write.
module qornn_dpb (
    CEA, CEB, CLKA, CLKB, RESETA, RESETB, WREA, WREB, DIA, DIB, ADA, ADB, DOA, DOB, BLKSELA, BLKSELB, OCEA,
    OCEB);
  parameter BIT_WIDTH_0 = 16, BIT_WIDTH_1 = 16, WRITE_MODE0 = 0, WRITE_MODE1 = 0;
  parameter READ_MODE0 = 1'b0, READ_MODE1 = 1'b0;
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [255:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
      INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
      INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
      INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
      INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
      INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
      INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
      INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
      INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
      INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
      INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  input CEA, CEB, CLKA, CLKB, RESETA, RESETB, WREA, WREB, OCEA, OCEB;
  input [15:0] DIA, DIB;
  input [13:0] ADA, ADB;
  input [2:0] BLKSELA, BLKSELB;
  output [15:0] DOA, DOB;
  wire [31:0] qa, qb;
  qornn_bsram #(.UNIT(8), .WIDTH0(BIT_WIDTH_0), .WIDTH1(BIT_WIDTH_1), .MODE0(WRITE_MODE0),
      .MODE1(WRITE_MODE1),
      .INIT({
          INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
          INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
          INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
          INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
          INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
          INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
          INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
          INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
          INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
          INIT_RAM_00}))
    ram (.clk0(CLKA), .enable0(CEA), .write0(WREA), .address0(ADA), .data0({16'd0, DIA}), .q0(qa),
        .clk1(CLKB), .enable1(CEB), .write1(WREB), .address1(ADB), .data1({16'd0, DIB}), .q1(qb));
  assign DOA = RESETA ? 16'd0 : qa[15:0];
  assign DOB = RESETB ? 16'd0 : qb[15:0];
  generate
    if (READ_MODE0 || READ_MODE1 || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule

// Two ports that read and write.
module qornn_dpx9b (
    CEA, CEB, CLKA, CLKB, RESETA, RESETB, WREA, WREB, DIA, DIB, ADA, ADB, DOA, DOB, BLKSELA, BLKSELB, OCEA,
    OCEB);
  parameter BIT_WIDTH_0 = 18, BIT_WIDTH_1 = 18, WRITE_MODE0 = 0, WRITE_MODE1 = 0;
  parameter READ_MODE0 = 1'b0, READ_MODE1 = 1'b0;
  parameter RESET_MODE = "", BLK_SEL = 3'd0, BLK_SEL_0 = 3'd0, BLK_SEL_1 = 3'd0;
  parameter [287:0]
      INIT_RAM_00 = 0, INIT_RAM_01 = 0, INIT_RAM_02 = 0, INIT_RAM_03 = 0, INIT_RAM_04 = 0,
      INIT_RAM_05 = 0, INIT_RAM_06 = 0, INIT_RAM_07 = 0, INIT_RAM_08 = 0, INIT_RAM_09 = 0,
      INIT_RAM_0A = 0, INIT_RAM_0B = 0, INIT_RAM_0C = 0, INIT_RAM_0D = 0, INIT_RAM_0E = 0,
      INIT_RAM_0F = 0, INIT_RAM_10 = 0, INIT_RAM_11 = 0, INIT_RAM_12 = 0, INIT_RAM_13 = 0,
      INIT_RAM_14 = 0, INIT_RAM_15 = 0, INIT_RAM_16 = 0, INIT_RAM_17 = 0, INIT_RAM_18 = 0,
      INIT_RAM_19 = 0, INIT_RAM_1A = 0, INIT_RAM_1B = 0, INIT_RAM_1C = 0, INIT_RAM_1D = 0,
      INIT_RAM_1E = 0, INIT_RAM_1F = 0, INIT_RAM_20 = 0, INIT_RAM_21 = 0, INIT_RAM_22 = 0,
      INIT_RAM_23 = 0, INIT_RAM_24 = 0, INIT_RAM_25 = 0, INIT_RAM_26 = 0, INIT_RAM_27 = 0,
      INIT_RAM_28 = 0, INIT_RAM_29 = 0, INIT_RAM_2A = 0, INIT_RAM_2B = 0, INIT_RAM_2C = 0,
      INIT_RAM_2D = 0, INIT_RAM_2E = 0, INIT_RAM_2F = 0, INIT_RAM_30 = 0, INIT_RAM_31 = 0,
      INIT_RAM_32 = 0, INIT_RAM_33 = 0, INIT_RAM_34 = 0, INIT_RAM_35 = 0, INIT_RAM_36 = 0,
      INIT_RAM_37 = 0, INIT_RAM_38 = 0, INIT_RAM_39 = 0, INIT_RAM_3A = 0, INIT_RAM_3B = 0,
      INIT_RAM_3C = 0, INIT_RAM_3D = 0, INIT_RAM_3E = 0, INIT_RAM_3F = 0;
  input CEA, CEB, CLKA, CLKB, RESETA, RESETB, WREA, WREB, OCEA, OCEB;
  input [17:0] DIA, DIB;
  input [13:0] ADA, ADB;
  input [2:0] BLKSELA, BLKSELB;
  output [17:0] DOA, DOB;
  wire [35:0] qa, qb;
  qornn_bsram #(.UNIT(9), .WIDTH0(BIT_WIDTH_0), .WIDTH1(BIT_WIDTH_1), .MODE0(WRITE_MODE0),
      .MODE1(WRITE_MODE1),
      .INIT({
          INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39,
          INIT_RAM_38, INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32,
          INIT_RAM_31, INIT_RAM_30, INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B,
          INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28, INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24,
          INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20, INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D,
          INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18, INIT_RAM_17, INIT_RAM_16,
          INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10, INIT_RAM_0F,
          INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
          INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01,
          INIT_RAM_00}))
    ram (.clk0(CLKA), .enable0(CEA), .write0(WREA), .address0(ADA), .data0({18'd0, DIA}), .q0(qa),
        .clk1(CLKB), .enable1(CEB), .write1(WREB), .address1(ADB), .data1({18'd0, DIB}), .q1(qb));
  assign DOA = RESETA ? 18'd0 : qa[17:0];
  assign DOB = RESETB ? 18'd0 : qb[17:0];
  generate
    if (READ_MODE0 || READ_MODE1 || BLK_SEL != 0 || BLK_SEL_0 != 0 || BLK_SEL_1 != 0)
      unknown_ram_mode unsupported();
  endgenerate
endmodule

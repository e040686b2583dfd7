// The block RAM of the ECP5, of which yosys has but the ports, in the modes that yosys makes use of here: one
// clock, no output registers (Lattice FPGA-TN-02204, ECP5 memory usage guide). The contents are 2048 units of
// 9 bits, of which narrow words use 8; an INITVAL holds 16 words of 18 bits, each in 20. At 36 bits port A
// writes, with its own and port B's data, and port B reads to both.
module qornn_dp16kd (
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
    DIA2, DIA1, DIA0, ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1,
    ADA0, CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0, DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11,
    DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0, ADB13, ADB12, ADB11, ADB10, ADB9,
    ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0, CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
    DOA2, DOA1, DOA0, DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6,
    DOB5, DOB4, DOB3, DOB2, DOB1, DOB0);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter ASYNC_RESET_RELEASE = "", RESETMODE = "", GSR = "", CLKAMUX = "CLKA", CLKBMUX = "CLKB";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000", REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter [319:0]
      INITVAL_00 = 320'd0, INITVAL_01 = 320'd0, INITVAL_02 = 320'd0, INITVAL_03 = 320'd0,
      INITVAL_04 = 320'd0, INITVAL_05 = 320'd0, INITVAL_06 = 320'd0, INITVAL_07 = 320'd0,
      INITVAL_08 = 320'd0, INITVAL_09 = 320'd0, INITVAL_0A = 320'd0, INITVAL_0B = 320'd0,
      INITVAL_0C = 320'd0, INITVAL_0D = 320'd0, INITVAL_0E = 320'd0, INITVAL_0F = 320'd0,
      INITVAL_10 = 320'd0, INITVAL_11 = 320'd0, INITVAL_12 = 320'd0, INITVAL_13 = 320'd0,
      INITVAL_14 = 320'd0, INITVAL_15 = 320'd0, INITVAL_16 = 320'd0, INITVAL_17 = 320'd0,
      INITVAL_18 = 320'd0, INITVAL_19 = 320'd0, INITVAL_1A = 320'd0, INITVAL_1B = 320'd0,
      INITVAL_1C = 320'd0, INITVAL_1D = 320'd0, INITVAL_1E = 320'd0, INITVAL_1F = 320'd0,
      INITVAL_20 = 320'd0, INITVAL_21 = 320'd0, INITVAL_22 = 320'd0, INITVAL_23 = 320'd0,
      INITVAL_24 = 320'd0, INITVAL_25 = 320'd0, INITVAL_26 = 320'd0, INITVAL_27 = 320'd0,
      INITVAL_28 = 320'd0, INITVAL_29 = 320'd0, INITVAL_2A = 320'd0, INITVAL_2B = 320'd0,
      INITVAL_2C = 320'd0, INITVAL_2D = 320'd0, INITVAL_2E = 320'd0, INITVAL_2F = 320'd0,
      INITVAL_30 = 320'd0, INITVAL_31 = 320'd0, INITVAL_32 = 320'd0, INITVAL_33 = 320'd0,
      INITVAL_34 = 320'd0, INITVAL_35 = 320'd0, INITVAL_36 = 320'd0, INITVAL_37 = 320'd0,
      INITVAL_38 = 320'd0, INITVAL_39 = 320'd0, INITVAL_3A = 320'd0, INITVAL_3B = 320'd0,
      INITVAL_3C = 320'd0, INITVAL_3D = 320'd0, INITVAL_3E = 320'd0, INITVAL_3F = 320'd0;
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0, ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2,
    ADA1, ADA0, CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0, DIB17, DIB16, DIB15, DIB14, DIB13, DIB12,
    DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0, ADB13, ADB12, ADB11,
    ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0, CEB, OCEB, CLKB, WEB, RSTB, CSB2,
    CSB1, CSB0;
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4,
    DOA3, DOA2, DOA1, DOA0, DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7,
    DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0;
  reg [8:0] units [0:2047];
  wire [64 * 320 - 1:0] init = {
      INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
      INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
      INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
      INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
      INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
      INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
      INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
      INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00};
  integer i;
  initial for (i = 0; i < 2048; i = i + 1) units[i] = init[i / 2 * 20 + i % 2 * 9 +: 9];
  wire [17:0] diA = {
      DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
      DIA2, DIA1, DIA0};
  wire [13:0] adA = {
      ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [17:0] diB = {
      DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
      DIB2, DIB1, DIB0};
  wire [13:0] adB = {
      ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  reg [17:0] doA, doB;
  reg [35:0] do36A, do36B;

  always @(posedge CLKA) if (CEA && {CSA2, CSA1, CSA0} == 3'd0) begin
    case (DATA_WIDTH_A)
      1: doA <= units[adA[13:3]][adA[2:0]];
      2: doA <= units[adA[13:3]][{adA[2:1], 1'b0} +: 2];
      4: doA <= units[adA[13:3]][{adA[2], 2'b0} +: 4];
      9: doA <= units[adA[13:3]];
      18: doA <= {units[{adA[13:4], 1'b1}], units[{adA[13:4], 1'b0}]};
      36: do36A <= {units[{adA[13:5], 2'd3}], units[{adA[13:5], 2'd2}],
          units[{adA[13:5], 2'd1}], units[{adA[13:5], 2'd0}]};
    endcase
    if (WEA) begin
      case (DATA_WIDTH_A)
        1: units[adA[13:3]][adA[2:0]] <= diA[0];
        2: units[adA[13:3]][{adA[2:1], 1'b0} +: 2] <= diA[1:0];
        4: units[adA[13:3]][{adA[2], 2'b0} +: 4] <= diA[3:0];
        9: units[adA[13:3]] <= diA[8:0];
        18: begin
          if (adA[0]) units[{adA[13:4], 1'b0}] <= diA[8:0];
          if (adA[1]) units[{adA[13:4], 1'b1}] <= diA[17:9];
        end
        36: begin
          if (adA[0]) units[{adA[13:5], 2'd0}] <= diA[8:0];
          if (adA[1]) units[{adA[13:5], 2'd1}] <= diA[17:9];
          if (adA[2]) units[{adA[13:5], 2'd2}] <= diB[8:0];
          if (adA[3]) units[{adA[13:5], 2'd3}] <= diB[17:9];
        end
      endcase
    end
  end
  always @(posedge CLKB) if (CEB && {CSB2, CSB1, CSB0} == 3'd0) begin
    case (DATA_WIDTH_B)
      1: doB <= units[adB[13:3]][adB[2:0]];
      2: doB <= units[adB[13:3]][{adB[2:1], 1'b0} +: 2];
      4: doB <= units[adB[13:3]][{adB[2], 2'b0} +: 4];
      9: doB <= units[adB[13:3]];
      18: doB <= {units[{adB[13:4], 1'b1}], units[{adB[13:4], 1'b0}]};
      36: do36B <= {units[{adB[13:5], 2'd3}], units[{adB[13:5], 2'd2}],
          units[{adB[13:5], 2'd1}], units[{adB[13:5], 2'd0}]};
    endcase
    if (WEB) begin
      case (DATA_WIDTH_B)
        1: units[adB[13:3]][adB[2:0]] <= diB[0];
        2: units[adB[13:3]][{adB[2:1], 1'b0} +: 2] <= diB[1:0];
        4: units[adB[13:3]][{adB[2], 2'b0} +: 4] <= diB[3:0];
        9: units[adB[13:3]] <= diB[8:0];
        18: begin
          if (adB[0]) units[{adB[13:4], 1'b0}] <= diB[8:0];
          if (adB[1]) units[{adB[13:4], 1'b1}] <= diB[17:9];
        end
        36: begin
          if (adB[0]) units[{adB[13:5], 2'd0}] <= diA[8:0];
          if (adB[1]) units[{adB[13:5], 2'd1}] <= diA[17:9];
          if (adB[2]) units[{adB[13:5], 2'd2}] <= diB[8:0];
          if (adB[3]) units[{adB[13:5], 2'd3}] <= diB[17:9];
        end
      endcase
    end
  end
  assign {
      DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
      DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? do36B[17:0] : doA;
  assign {
      DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
      DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? do36B[35:18] : doB;
  generate
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB") unknown_ram_mode unsupported();
  endgenerate
endmodule

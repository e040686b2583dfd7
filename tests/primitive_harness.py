"""The Verilog around what tests/primitive_bench.py drives."""


def harness_of(drive_bits, out_bits, vendor, twin):
    """Return the module ``harness``: two modules with the ports clk, rst, drive and out, driven alike."""
    return f"""
module harness (
  input clk /*verilator public_flat_rw*/,
  input [{drive_bits - 1}:0] drive /*verilator public_flat_rw*/,
  output reg [{out_bits - 1}:0] vendor /*verilator public_flat_rd*/,
  output reg [{out_bits - 1}:0] twin /*verilator public_flat_rd*/
);
  wire [{out_bits - 1}:0] of_vendor, of_twin;
  {vendor} vendor_part (.clk(clk), .rst(1'b0), .drive(drive), .out(of_vendor));
  {twin} twin_part (.clk(clk), .rst(1'b0), .drive(drive), .out(of_twin));
  always @(posedge clk) begin vendor <= of_vendor; twin <= of_twin; end
endmodule
"""

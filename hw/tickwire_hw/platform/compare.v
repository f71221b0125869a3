// Comparison with a constant: a chain of gates, for abc9 to make tables of, where synth_ecp5 would
// take a carry chain for as many bits. Of bits 0 to i, the value is above the constant if bit i is
// and the constant's is not, or both are or neither is and it is above in those below.

(* techmap_celltype = "$lt $le $gt $ge" *)
module constant_compare (A, B, Y);
    parameter A_SIGNED = 0;
    parameter B_SIGNED = 0;
    parameter A_WIDTH = 1;
    parameter B_WIDTH = 1;
    parameter Y_WIDTH = 1;
    parameter _TECHMAP_CELLTYPE_ = "";
    parameter _TECHMAP_CONSTMSK_B_ = 0;
    parameter _TECHMAP_CONSTVAL_B_ = 0;

    input [A_WIDTH-1:0] A;
    input [B_WIDTH-1:0] B;
    output [Y_WIDTH-1:0] Y;

    localparam WIDTH = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH;
    localparam IS_GREATER = _TECHMAP_CELLTYPE_ == "$gt" || _TECHMAP_CELLTYPE_ == "$ge";
    // Whether equal values count as above: $ge, and $lt, which is its inverse.
    localparam HAS_EQUAL = _TECHMAP_CELLTYPE_ == "$ge" || _TECHMAP_CELLTYPE_ == "$lt";
    localparam [WIDTH-1:0] BOUND = _TECHMAP_CONSTVAL_B_;

    wire _TECHMAP_FAIL_ = A_SIGNED || B_SIGNED || ~&_TECHMAP_CONSTMSK_B_ || WIDTH <= 4;

    wire [WIDTH-1:0] value = A;
    wire [WIDTH:0] above;
    assign above[0] = HAS_EQUAL;
    genvar i;
    generate
        for (i = 0; i < WIDTH; i = i + 1) begin : bits
            assign above[i + 1] = BOUND[i] ? value[i] & above[i] : value[i] | above[i];
        end
    endgenerate
    assign Y = IS_GREATER ? above[WIDTH] : ~above[WIDTH];
endmodule

"""The gateware: one Amaranth component for each kernel of the same name."""

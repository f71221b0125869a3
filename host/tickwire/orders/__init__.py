"""Order sessions of the host, and what the device released to them."""

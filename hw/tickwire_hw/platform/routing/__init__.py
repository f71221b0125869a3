"""Routes of a placed design: late paths lose the detours that nextpnr's router left them."""

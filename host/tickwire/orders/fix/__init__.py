"""FIX: dictionaries, codec and sessions. No order is sent that no device has released."""

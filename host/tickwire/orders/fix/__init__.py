"""FIX: dictionaries, codec and sessions. Nothing here sends an order that no device has released."""

"""Where messages come from: multicast lines, captures, files, and the request server."""

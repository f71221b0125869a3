"""Adapters: leaves between the core's three streams and one bus each."""

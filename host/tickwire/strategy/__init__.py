"""Strategies: state and handlers over records, and the examples."""

"""The venue: a matching engine, its market data lines and its order sessions."""

"""What an operator sees: terminal view, summary, counters and histograms for Prometheus."""

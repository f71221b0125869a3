"""Order sessions: SoupBinTCP and OUCH 5.0."""

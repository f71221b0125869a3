"""Where every published number comes from: one program a question, `python -m bench NAME`."""

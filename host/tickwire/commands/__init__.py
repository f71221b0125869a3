"""Commands of the program ``tickwire``: one module each, loaded when it is asked for."""

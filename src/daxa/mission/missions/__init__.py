"""One module for each mission."""

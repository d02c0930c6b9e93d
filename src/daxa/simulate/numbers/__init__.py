"""The numbers of the simulated instruments."""

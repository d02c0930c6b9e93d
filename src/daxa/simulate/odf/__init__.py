"""Raw files of a simulated observation."""

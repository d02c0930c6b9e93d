"""The cameras: what they record of photons and particles."""

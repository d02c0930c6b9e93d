"""The cameras and spectrometers; each wing has the same floor plan."""

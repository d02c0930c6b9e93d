"""Finding sources: boxes above the background, background maps, fits of the point-spread function."""

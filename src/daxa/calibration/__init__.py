"""The user's calibration files: where they are, which are lacking, how they are fetched."""

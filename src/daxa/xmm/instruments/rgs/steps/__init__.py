"""What each SAS task of the RGS does to one CCD."""

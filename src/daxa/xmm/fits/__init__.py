"""Reading and writing FITS: headers, files, tables by their schema."""

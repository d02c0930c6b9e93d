"""Schemas, codes and names of files, without behaviour; read by anyone."""

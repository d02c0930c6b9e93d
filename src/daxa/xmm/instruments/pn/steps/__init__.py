"""The steps of the pn chain, by SAS's names."""

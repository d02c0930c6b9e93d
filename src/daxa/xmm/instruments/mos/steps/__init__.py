"""The steps of the MOS chain, by SAS's names."""

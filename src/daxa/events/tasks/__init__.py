"""One file per task on event lists of other missions."""

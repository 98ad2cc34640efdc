"""The journal of a replay: one SQLite file, written by one process and read by any."""

"""The journal of a replay: one SQLite file with one writer and any number of readers."""

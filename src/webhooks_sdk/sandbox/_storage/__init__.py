"""The sandbox's state in SQLite."""

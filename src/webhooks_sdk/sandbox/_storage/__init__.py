"""The state of the sandbox, in SQLite."""

"""The replay engine: a pure scheduler, the state of a run, and the sync and async drivers."""

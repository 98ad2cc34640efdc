"""Running a replay: one pure scheduler, one run, and the sync and async engines."""

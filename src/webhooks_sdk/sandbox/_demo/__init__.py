"""Five days of demo history for an empty sandbox."""

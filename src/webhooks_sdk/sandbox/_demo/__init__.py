"""Five days of demo history for a sandbox that is to be looked at."""

"""The decisions of one call, as pure code: no socket, no sleep, no lock, no HTTP library."""

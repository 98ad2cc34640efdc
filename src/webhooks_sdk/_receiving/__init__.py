"""From a raw HTTP request to a verified, typed delivery, as pure code."""

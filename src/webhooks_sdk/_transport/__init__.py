"""Sending: connection pools, drivers, timeouts and retries. The only code that names httpx."""

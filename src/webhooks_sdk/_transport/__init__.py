"""Connection pools, drivers, timeouts and retries: the only layer below the clients with httpx."""

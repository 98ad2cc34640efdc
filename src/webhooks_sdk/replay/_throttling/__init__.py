"""How fast a replay sends: rate, concurrency, latency and the circuit breaker. Pure."""

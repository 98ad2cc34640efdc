"""Rate and concurrency limits and the circuit breaker of a replay. No I/O."""

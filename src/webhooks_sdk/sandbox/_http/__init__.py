"""The sandbox's HTTP server: middleware, the API, and injected faults."""

"""The HTTP server of the sandbox: middleware, the API, and fault injection."""

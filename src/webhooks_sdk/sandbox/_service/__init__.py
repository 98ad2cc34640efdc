"""The rules of the simulated service: routes, validation, tokens, retry schedule. No sockets."""

"""The service itself, for one tenant or all: routes, rules, tokens, retry schedule. No sockets."""

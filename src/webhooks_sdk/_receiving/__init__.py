"""Verifying, parsing and routing of incoming deliveries, without I/O."""

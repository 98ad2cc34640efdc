"""A subscriber to deliver to, and what it received."""

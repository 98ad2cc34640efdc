"""The subscriber, and the deliveries that it received."""

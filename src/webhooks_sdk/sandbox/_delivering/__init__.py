"""Delivery of events to subscribers."""

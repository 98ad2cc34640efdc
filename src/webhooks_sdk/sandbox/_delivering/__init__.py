"""Delivering events to subscribers."""

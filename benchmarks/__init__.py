"""Benchmarks of the SDK. Run `python -m benchmarks` in the root of the repository."""

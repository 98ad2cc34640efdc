"""What a call costs beside what it replaces: `python -m benchmarks`, in the repository's root."""

"""A replay whose requests are sent by Celery workers. See README.md."""

"""A replay whose requests are sent by Celery workers: see the README beside this file."""

"""`python -m mnncompat`."""

from mnncompat.cli import run

run()

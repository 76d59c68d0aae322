"""What was proven is kept: a lock file, and what has become worse since it was written."""

"""Code in several languages that feeds a converted file, runs it and reads what it gives."""

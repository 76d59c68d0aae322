"""How an application feeds and reads a converted file: what is in it, what it does when it runs, and code for that."""

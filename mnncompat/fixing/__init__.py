"""Fix: rewrites applied as one transaction."""

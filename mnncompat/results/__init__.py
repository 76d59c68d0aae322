"""What the commands return: plain values that the reports render."""

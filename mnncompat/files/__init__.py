"""The file system: where a result goes, temporary files that a killed process does not leave, delayed signals."""

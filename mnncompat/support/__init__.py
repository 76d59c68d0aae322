"""What is known about MNN: the table, its conditions and relations, the releases, the target."""

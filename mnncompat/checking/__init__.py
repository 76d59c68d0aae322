"""Check a model against the table: findings, rule documentation, node measurements and the score of the table."""

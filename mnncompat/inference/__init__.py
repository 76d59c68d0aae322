"""What is known about a model's values: shapes, computed sizes, constants, types of contrib operators."""

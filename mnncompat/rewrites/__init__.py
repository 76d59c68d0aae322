"""The rewrites: a folder for each family of operators, a file for each rewrite. `index` finds them."""

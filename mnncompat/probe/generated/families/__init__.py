"""One module a family of operators; each registers its generators when it is imported."""

"""Convert: the pipeline from a model to a proven `.mnn` file, and the export from torch."""

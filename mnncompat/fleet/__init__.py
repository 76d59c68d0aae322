"""Many tasks: results in a folder, in processes of this machine, or on a cluster."""

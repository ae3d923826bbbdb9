"""C-GET and C-MOVE as one engine: from the items of a job to files."""

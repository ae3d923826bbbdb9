"""C-FIND as one engine: from a `Query` to a table with its `Coverage`."""

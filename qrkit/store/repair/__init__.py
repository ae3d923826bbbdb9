"""Repairs a workspace whose files are damaged or whose state is lost."""

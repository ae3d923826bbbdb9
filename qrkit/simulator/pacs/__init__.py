"""The simulated PACS: its wire, associations and services."""

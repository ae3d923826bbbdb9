"""Runs the handlers of a site: what is done with a series after it has arrived."""

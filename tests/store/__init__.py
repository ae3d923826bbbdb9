"""Tests of `qrkit.store`: a folder in tmp_path, a real PostgreSQL, and other processes."""

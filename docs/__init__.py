"""The documentation, its pictures, and the code that builds pages from qrkit."""

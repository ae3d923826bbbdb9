"""The data of a workspace: its state (SQLAlchemy), its results (Parquet, DuckDB) and its files (DICOM Part 10)."""

"""What a workspace keeps: its state (SQLAlchemy), its results (Parquet, DuckDB) and its files (DICOM Part 10)."""

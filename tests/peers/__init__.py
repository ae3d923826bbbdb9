"""Real DICOM peers, and a real PostgreSQL, for tests: started on loopback, ended with the test."""

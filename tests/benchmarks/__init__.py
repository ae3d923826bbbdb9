"""Tests of the benchmarks' own peers."""

"""Benchmarks: scripts that print what they measure. Not tests; nothing here has a pass or a fail."""

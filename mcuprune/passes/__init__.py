"""Rewrites of the graph between import and the choice of kernels. passes.py holds the table."""

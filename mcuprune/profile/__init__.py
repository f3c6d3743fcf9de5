"""Counted instructions: calibration of the cost table."""

"""Ripeness of bananas."""

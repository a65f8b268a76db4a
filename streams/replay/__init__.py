"""Frames sent once more: planned, published apart from live ones, answered with less priority, promoted."""

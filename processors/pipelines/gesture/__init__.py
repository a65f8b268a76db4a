"""Gestures of hands."""

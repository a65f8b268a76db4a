"""Whole pictures into any classes."""

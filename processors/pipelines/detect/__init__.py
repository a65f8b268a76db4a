"""Objects of any classes."""

"""Objects of any classes, with their outlines."""

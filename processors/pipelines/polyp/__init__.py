"""Polyps in endoscopy pictures."""

"""Real pictures and made ones."""

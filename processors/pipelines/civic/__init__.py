"""Photo quality for city services."""

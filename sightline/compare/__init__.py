"""Old against new results of the same frames: what changed, how much, and where. No I/O but of the report's text."""

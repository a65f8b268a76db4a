"""`sightline doctor`: one file for each service that it looks at."""

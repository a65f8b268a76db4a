"""`sightline demo`: the whole platform on one machine, with a camera that draws its own photos, checked to the end."""

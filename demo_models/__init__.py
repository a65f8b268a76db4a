"""Small models trained on drawn scenes, and all that makes them. Not part of the wheel."""

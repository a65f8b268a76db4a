"""Objects of any classes, with their keypoints."""

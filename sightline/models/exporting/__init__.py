"""What runs in the export environment, and the side of ours that starts it and reads its answer."""

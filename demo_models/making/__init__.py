"""Scenes with exact truth, and the training, export and evaluation of the demo models on them.

The scene modules need numpy and OpenCV only; what trains and exports needs torch, and ultralytics for three models.
"""

"""Faust apps that run for ever: records handed on, progress known, begun again after whatever ends them."""

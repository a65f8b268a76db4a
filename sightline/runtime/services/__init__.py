"""Embedded services: what `sightline demo` runs on, on a machine that has only Python."""

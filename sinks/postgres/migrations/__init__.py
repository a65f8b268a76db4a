"""Migrations of the tables, run by `sinks.postgres.upgrade`."""

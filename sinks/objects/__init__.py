"""The object store sink: pictures to keep, and the values of dead letters."""

"""Wire contracts of sightline: messages, ids, topic names, pipeline definitions, errors. No I/O."""

"""Models on pictures: one file a task, one engine, batches that never mix one picture's answer with another's."""

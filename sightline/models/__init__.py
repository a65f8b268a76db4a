"""Models: their cards, the store that keeps them, the cache beside a worker, and what is in force."""

"""The data path as pure functions: bytes and settings in, results and facts out. No I/O, no clock."""

"""The command line: composition roots. One file a command; `lazy.py` says which."""

"""The checks, in a module for each extension of the protocol."""

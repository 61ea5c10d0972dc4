"""The checks, in a module for each extension of the protocol. Function names are the checks' ids."""

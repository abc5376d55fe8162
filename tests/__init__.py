"""The tests: one file per module, one suite per port, and the promises of the README."""

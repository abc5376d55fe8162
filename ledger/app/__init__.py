"""The process: settings, wiring, the servers' life, errors to status codes, the command line."""

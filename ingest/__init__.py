"""The door in: admission, batching, the ingest service, and the scanner's client."""

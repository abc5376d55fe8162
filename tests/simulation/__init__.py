"""The real client, ingest, writer and query under a seeded scheduler: only the world is made up."""

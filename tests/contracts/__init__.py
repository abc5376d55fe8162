"""One suite per port. Every backend runs it unchanged, by giving it a factory."""

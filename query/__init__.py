"""The door out: trails read, ordered, marked, paged and watched."""

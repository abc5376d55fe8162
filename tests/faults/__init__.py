"""The faults that must be survived: each is injected, then what was acknowledged is compared."""

"""All roles as processes of their own on real engines, while engines and processes are killed."""

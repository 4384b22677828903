"""W&B's server: a sweep started there, worked on, read back."""

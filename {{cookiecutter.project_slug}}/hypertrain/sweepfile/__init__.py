"""What the sweep file says: reading it, its search space, its distributions."""

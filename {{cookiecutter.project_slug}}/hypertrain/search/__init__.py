"""Which point of the search space comes next, and which running trial is stopped early."""

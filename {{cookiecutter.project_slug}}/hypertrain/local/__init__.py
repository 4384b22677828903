"""The sweep of one machine: its own search, its own results."""

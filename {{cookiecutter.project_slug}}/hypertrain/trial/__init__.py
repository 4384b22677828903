"""One trial as a process of its own: its command, its start, its end, what it records."""

"""What can be known before a sweep costs anything."""

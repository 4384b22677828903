"""What a person sees of a sweep: the screen, the table, the report."""

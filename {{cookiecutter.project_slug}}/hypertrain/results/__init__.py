"""What is on disk of a sweep, written so that nothing is lost and read back."""

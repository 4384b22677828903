"""What did the search really show? Statements that hold, from what is in the results."""

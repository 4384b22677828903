NAME = "user search"

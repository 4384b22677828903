NAME = "user screen"

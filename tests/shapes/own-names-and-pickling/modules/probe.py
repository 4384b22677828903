NAME = "user probe"

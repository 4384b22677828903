NAME = "user machine"

NAME = "user space"

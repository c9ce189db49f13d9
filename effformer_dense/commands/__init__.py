"""What a user can do, one file per command; each is a function whose signature is its command line."""

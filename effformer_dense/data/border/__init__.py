"""The border that every data set of a user's own crosses: many formats in, one canonical form out, all changes told."""

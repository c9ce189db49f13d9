"""What was found, as pictures and pages."""

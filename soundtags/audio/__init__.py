"""From files to the patches that models take as input."""

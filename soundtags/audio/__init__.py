"""From files to the patches that models are fed."""

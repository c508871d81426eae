"""What residuals show of a change of the constants, and why tracks were lost."""

"""The report's figures: each drawn once, and written as SVG into the page and as PNG beside it."""

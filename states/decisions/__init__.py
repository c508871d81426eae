"""What the states decide by: whose fault it is, what is submitted next, when it has converged."""

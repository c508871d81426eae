"""The work of one iteration, as the states' ports promise it: reconstruction, Mille, pede."""

"""The Mille/pede chain, in the order it runs: convert, steer, solve, constants."""

"""The embedded default: how the tiny base is made, the whole loop as one command, its score and its report."""

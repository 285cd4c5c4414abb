"""What is seen of a step: hooks, calls of layers, how far they lie below the loss, what an optimizer does."""

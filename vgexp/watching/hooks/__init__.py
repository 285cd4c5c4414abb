"""What is seen of a step: hooks, calls of layers, their places below the loss, what an optimizer does."""

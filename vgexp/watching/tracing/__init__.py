"""Second looks at a batch: where parameters leave the graph, what made a NaN, what low precision loses."""

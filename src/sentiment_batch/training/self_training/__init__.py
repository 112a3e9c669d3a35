"""Learning from soft labels of other models: of unlabelled texts, and of an ensemble."""

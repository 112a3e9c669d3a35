"""What a training run keeps on disk: work folder, state, history, and fingerprint."""

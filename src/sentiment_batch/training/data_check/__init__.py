"""The data check before training: counts, findings, and their wording."""

"""What scores blocks of rows: this process, several devices, or the workers of an engine."""
